import type { CartKey } from '../core/nouns.ts';
import type { DecidedCart } from '../core/reconciliation.ts';

/** Lines whose flows are looked at together. A cart has up to 500, so it is lines and not carts that take memory. */
const LINES_AT_A_TIME = 2_000;

/** Cuts a list into pieces of some length; the last may be shorter. */
export function piecesOf<T>(things: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(things.length / length) }, (_, piece) =>
    things.slice(piece * length, (piece + 1) * length),
  );
}

/** Parts carts into batches with so many lines that they can be judged at a time; a cart stays whole. */
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

/** One text per cart. */
export function cartText({ order_id, attempt }: CartKey): string {
  return `${order_id}\0${attempt}`;
}
