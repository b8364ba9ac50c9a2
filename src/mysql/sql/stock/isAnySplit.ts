import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

/**
 * Whether one of the SKUs has other rows than the one open row of a SKU that was never split. The rows stay locked, so
 * the result holds until the transaction ends.
 *
 * @param sku_ids at least one
 */
export async function isAnySplit(transaction: Transaction, sku_ids: readonly string[]): Promise<boolean> {
  const sql = 'SELECT sub_row, intake FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?) FOR UPDATE';
  const rows = await transaction.rows<{ sub_row: number; intake: string }>(sql, [sku_ids.map(bytesOf)]);
  return rows.some(({ sub_row, intake }) => sub_row !== 0 || intake !== 'any');
}
