import type { UnfinishedCarts } from '../../../core/ports/cartRecords.ts';
import type { UnreadableRow } from '../../../core/unreadableRow.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { isOlder } from '../session/age.ts';
import { isText, quotedBytes, textOf } from '../text/bytes.ts';
import { ABANDONED_SECONDS } from './carts.ts';
import { holdOf } from '../flows/holds.ts';
import type { HoldRow } from '../flows/holds.ts';

/**
 * In random order: the oldest may all be rows that cannot be completed, and the others would then never be reached.
 */
const OPEN = `
SELECT order_id, attempt FROM cart
 WHERE state = 'open' AND ${isOlder('created_at', ABANDONED_SECONDS)}
 ORDER BY RAND() LIMIT ?`;
/** In random order for the same reason. */
const HELD = `
SELECT sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator FROM cart_hold
 WHERE ${isOlder('created_at', 1)}
 ORDER BY RAND() LIMIT ?`;
const COUNTS = `
SELECT (SELECT COUNT(*) FROM cart WHERE state = 'open') AS carts,
       (SELECT CAST(COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, created_at, CURRENT_TIMESTAMP(6))), 0) AS SIGNED)
          FROM cart WHERE state = 'open') AS cart_us,
       (SELECT COUNT(*) FROM cart_hold) AS holds,
       (SELECT CAST(COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(created_at), CURRENT_TIMESTAMP(6)), 0) AS SIGNED)
          FROM cart_hold) AS hold_us`;

const NO_ID = 'an id is not UTF-8, so no caller can have sent it';

/**
 * Finds carts and holds that must be completed. Takes no lock.
 *
 * @param max rows of each kind, at most
 * @param note called for each row that cannot be read; it is left out
 */
export async function readUnfinishedCarts(
  transaction: Transaction,
  max: number,
  note: (row: Omit<UnreadableRow, 'shard'>) => void,
): Promise<UnfinishedCarts> {
  const carts = await transaction.rows<{ order_id: Buffer; attempt: number }>(OPEN, [max]);
  const holds = await transaction.rows<HoldRow>(HELD, [max]);
  const [counts] = await transaction.rows<{ carts: number; cart_us: number; holds: number; hold_us: number }>(
    COUNTS,
    [],
  );
  return {
    is: 'left_over',
    carts: carts.flatMap(({ order_id, attempt }) => {
      if (isText(order_id)) return [{ order_id: textOf(order_id), attempt }];
      note({ kind: 'cart', row: `order ${quotedBytes(order_id)} attempt ${attempt}`, reason: NO_ID });
      return [];
    }),
    holds: holds.flatMap((hold) => {
      const { sku_id, order_detail_id, order_id, attempt } = hold;
      if ([sku_id, order_detail_id, order_id].every(isText)) return [holdOf(hold)];
      const flow = `SKU ${quotedBytes(sku_id)} order detail ${quotedBytes(order_detail_id)}`;
      note({ kind: 'hold', row: `${flow} of order ${quotedBytes(order_id)} attempt ${attempt}`, reason: NO_ID });
      return [];
    }),
    cartsOpen: counts?.carts ?? 0,
    cartAgeMs: Math.max(0, counts?.cart_us ?? 0) / 1_000,
    holdsOpen: counts?.holds ?? 0,
    holdAgeMs: Math.max(0, counts?.hold_us ?? 0) / 1_000,
  };
}
