/** Koa + Redis Lua: the same JSON, one script per request, nothing on disk. Commands of one tick share a write. */
import { readFileSync } from 'node:fs';
import { createClient } from '@redis/client';
import Koa from 'koa';
import { deductedText, readOrder, serve } from './serve.ts';

const client = createClient({ socket: { host: '127.0.0.1', port: Number(process.env['BENCH_REDIS_PORT']) } });
client.on('error', (error) => console.error(error));
await client.connect();
const script = await client.scriptLoad(readFileSync(new URL('deduct.lua', import.meta.url), 'utf8'));

const DEDUCTED = 1;
const REPLAYED = 2;

const app = new Koa();
app.use(async (context) => {
  const order = await readOrder(context.req);
  const [line] = order.lines;
  if (line === undefined || order.lines.length > 1) throw new Error('this arm takes orders of one line');
  const { sku_id, order_detail_id, quantity } = line;
  const keys = [`stock:${sku_id}`, `flow:${sku_id}:${order_detail_id}`];
  const decision = await client.evalSha(script, { keys, arguments: [String(quantity)] });
  context.type = 'application/json';
  if (decision === DEDUCTED || decision === REPLAYED) {
    context.status = decision === DEDUCTED ? 201 : 200;
    context.body = deductedText(order, decision === REPLAYED);
  } else {
    context.status = 409;
    context.body = '{"code":"insufficient_stock"}';
  }
});
serve(app);
