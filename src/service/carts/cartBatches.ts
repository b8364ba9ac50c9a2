import type { CartKey } from '../../core/types.ts';
import type { DecidedCart } from '../../core/books/reconciliation.ts';

/** Lines whose flows are read together. A cart has up to 500 lines, so memory depends on lines and not on carts. */
const LINES_AT_A_TIME = 2_000;

/** Groups carts into batches of at most `LINES_AT_A_TIME` lines. A cart stays in one batch. */
export function batchesOf(carts: readonly DecidedCart[]): DecidedCart[][] {
  const batches: DecidedCart[][] = [];
  let line_count = LINES_AT_A_TIME;
  for (const cart of carts) {
    if (line_count + cart.lines.length > LINES_AT_A_TIME) {
      batches.push([]);
      line_count = 0;
    }
    batches.at(-1)?.push(cart);
    line_count += cart.lines.length;
  }
  return batches;
}

/** A key that is unique for each cart. */
export function cartText({ order_id, attempt, transaction }: CartKey): string {
  return `${order_id}\0${attempt}\0${transaction?.transaction_id ?? ''}`;
}
