import type { LeftOver } from '../../core/ports.ts';
import type { Transaction } from '../transaction.ts';
import { isOlder } from './age.ts';
import { textOf } from './bytes.ts';
import { ABANDONED_SECONDS } from './carts.ts';
import { holdOf } from './holds.ts';
import type { HoldRow } from './holds.ts';

const OPEN = `
SELECT order_id, attempt FROM cart
 WHERE state = 'open' AND ${isOlder('created_at', ABANDONED_SECONDS)}
 ORDER BY created_at LIMIT ?`;
/** Drawn, because the oldest may all belong to carts whose records cannot be asked. */
const HELD = `
SELECT sku_id, order_detail_id, order_id, attempt FROM cart_hold
 WHERE ${isOlder('created_at', 1)}
 ORDER BY RAND() LIMIT ?`;
const COUNTS = `
SELECT (SELECT COUNT(*) FROM cart WHERE state = 'open') AS carts,
       (SELECT CAST(COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, created_at, CURRENT_TIMESTAMP(6))), 0) AS SIGNED) FROM cart WHERE state = 'open') AS cart_us,
       (SELECT COUNT(*) FROM cart_hold) AS holds,
       (SELECT CAST(COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(created_at), CURRENT_TIMESTAMP(6)), 0) AS SIGNED) FROM cart_hold) AS hold_us`;

/** Looks for what is to be finished or undone. Takes no lock. @param max rows of each kind, at most */
export async function readLeftOver(transaction: Transaction, max: number): Promise<LeftOver> {
  const carts = await transaction.rows<{ order_id: Buffer; attempt: number }>(OPEN, [max]);
  const holds = await transaction.rows<HoldRow>(HELD, [max]);
  const [counts] = await transaction.rows<{ carts: number; cart_us: number; holds: number; hold_us: number }>(COUNTS, []);
  return {
    is: 'left_over',
    carts: carts.map(({ order_id, attempt }) => ({ order_id: textOf(order_id), attempt })),
    holds: holds.map(holdOf),
    cartsOpen: counts?.carts ?? 0,
    cartAgeMs: Math.max(0, counts?.cart_us ?? 0) / 1_000,
    holdsOpen: counts?.holds ?? 0,
    holdAgeMs: Math.max(0, counts?.hold_us ?? 0) / 1_000,
  };
}
