/** A collector that takes all that it is sent, and looks at none of it. */
import Koa from 'koa';
import { serve } from './serve.ts';

const app = new Koa();
app.use(async (context) => {
  await new Promise((resolve, reject) => context.req.on('end', resolve).on('error', reject).resume());
  context.body = {};
});
serve(app);
