/** The ceiling: a bare Koa that reads the same body, parses it and answers the same bytes. One middleware. */
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
