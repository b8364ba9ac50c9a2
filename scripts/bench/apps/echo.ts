/** The upper bound of any Koa server: one middleware that reads and parses the body, and sends the same bytes back. */
import Koa from 'koa';
import { deductedText, readOrder, serve } from './serve.ts';

const app = new Koa();
app.use(async (context) => {
  const order = await readOrder(context.req);
  context.status = 201;
  context.type = 'application/json';
  context.body = deductedText(order);
});
serve(app);
