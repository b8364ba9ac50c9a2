/** A collector that reads everything it receives, and discards it. */
import Koa from 'koa';
import { serve } from './serve.ts';

const app = new Koa();
app.use(async (context) => {
  await new Promise((resolve, reject) => context.req.on('end', resolve).on('error', reject).resume());
  context.body = {};
});
serve(app);
