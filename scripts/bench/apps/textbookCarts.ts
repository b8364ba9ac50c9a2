/** The textbook gateway of orders of several lines: Koa, and one plain transaction for each order. */
import Koa from 'koa';
import { openTextbookCartSale } from './textbookCartSale.ts';
import type { CartOutcome, TextbookCartsSettings } from './textbookCartSale.ts';
import { deductedText, readOrder, serve } from './serve.ts';

const settings = JSON.parse(process.env['BENCH_TEXTBOOK_CARTS'] ?? '{}') as TextbookCartsSettings;
const { sell } = openTextbookCartSale(settings);

const STATUS: Readonly<Record<CartOutcome, number>> = {
  deducted: 201,
  replayed: 200,
  idempotency_conflict: 409,
  insufficient_stock: 409,
  failed: 500,
};
const counts = new Map<CartOutcome, number>();

/** The counts of outcomes, as a gateway prints them. */
function metrics(): string {
  return [...counts]
    .map(([outcome, count]) => `stockgate_requests_total{route="POST /v1/deductions",outcome="${outcome}"} ${count}\n`)
    .join('');
}

const app = new Koa();
app.use(async (context) => {
  if (context.method === 'GET') {
    context.body = metrics();
    return;
  }
  const order = await readOrder(context.req);
  const outcome = await sell(order);
  counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  context.status = STATUS[outcome];
  context.type = 'application/json';
  const isSold = outcome === 'deducted' || outcome === 'replayed';
  context.body = isSold ? deductedText(order, outcome === 'replayed') : JSON.stringify({ code: outcome });
});
serve(app);
