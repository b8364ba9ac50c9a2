import type { KeyWithRow } from '../../../core/operation.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { ROW_EPOCH } from '../stock/rowEpoch.ts';

/**
 * SKUs whose rows here are not open in the layout that the caller names. An id that is not found here may be on another
 * shard.
 *
 * @param keys at least one
 */
export async function findMoved(transaction: Transaction, keys: readonly KeyWithRow[]): Promise<string[]> {
  const sql = `SELECT sku_id, sub_row, ${ROW_EPOCH} AS epoch, intake <> 'none' AS is_open
                 FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?)`;
  const rows = await transaction.rows<{ sku_id: Buffer; sub_row: number; epoch: number; is_open: number }>(sql, [
    keys.map(({ sku_id }) => bytesOf(sku_id)),
  ]);
  const moved = keys.filter(({ sku_id, row = { sub_row: 0, epoch: 0 } }) => {
    const found = rows.find((each) => textOf(each.sku_id) === sku_id && each.sub_row === row.sub_row);
    // An unknown SKU has no row, and no flows on any shard.
    return found === undefined ? row.epoch !== 0 : found.is_open !== 1 || found.epoch !== row.epoch;
  });
  return [...new Set(moved.map(({ sku_id }) => sku_id))];
}
