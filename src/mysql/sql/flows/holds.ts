import type { CartKey, FlowKey, Hold } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { transactionOf } from '../carts/transactionColumns.ts';
import type { TransactionColumns } from '../carts/transactionColumns.ts';
import { anyOf, keyValues } from './flowKeys.ts';

const INSERT = 'INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) VALUES ?';
/** At most 100 holds are read of each SKU, so that a SKU with thousands does not hide the holds of the others. */
const READ =
  '(SELECT sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator FROM cart_hold ' +
  'WHERE sku_id = ? ORDER BY order_detail_id LIMIT 100)';

/** A row of `cart_hold`. */
export interface HoldRow extends TransactionColumns {
  readonly sku_id: Buffer;
  readonly order_detail_id: Buffer;
  readonly order_id: Buffer;
  readonly attempt: number;
}

/** Writes a row for each held flow, by which searches for units and for unfinished holds find it. */
export async function insertHolds(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  keys: readonly FlowKey[],
): Promise<void> {
  await transaction.run(INSERT, [
    keys.map((key) => [bytesOf(key.sku_id), bytesOf(key.order_detail_id), bytesOf(order_id), attempt]),
  ]);
}

/**
 * Deletes the rows of an attempt's completed holds. In the form for several tables, because the other one takes no
 * index.
 *
 * @param keys at least one; holds of other attempts under these keys stay
 * @returns how many there were
 */
export async function deleteHolds(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  keys: readonly FlowKey[],
): Promise<number> {
  const sql = `DELETE cart_hold FROM cart_hold FORCE INDEX (PRIMARY)
                WHERE ${anyOf(keys)} AND order_id = ? AND attempt = ?`;
  return transaction.run(sql, [...keyValues(keys), bytesOf(order_id), attempt]);
}

/** The holds of some SKUs at this moment; takes no lock. @param sku_ids at least one; the same one may occur twice */
export async function readHolds(transaction: Pick<Transaction, 'rows'>, sku_ids: readonly string[]): Promise<Hold[]> {
  const each = [...new Set(sku_ids)];
  return (await transaction.rows<HoldRow>(each.map(() => READ).join(' UNION ALL '), each.map(bytesOf))).map(holdOf);
}

export function holdOf(row: HoldRow): Hold {
  return {
    sku_id: textOf(row.sku_id),
    order_detail_id: textOf(row.order_detail_id),
    order_id: textOf(row.order_id),
    attempt: row.attempt,
    ...transactionOf(row),
  };
}
