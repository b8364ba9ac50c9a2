import type { CartKey, FlowKey } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';

/**
 * Makes void flows also stop late holds of later attempts of their order. Their rows must be locked.
 *
 * @param keys at least one
 */
export async function raiseVoidAttempts(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  keys: readonly FlowKey[],
): Promise<void> {
  const sql = `UPDATE flow FORCE INDEX (PRIMARY) SET attempt = ?
                WHERE ${anyOf(keys)} AND status = 'void' AND order_id = ? AND attempt < ?`;
  await transaction.run(sql, [attempt, ...keyValues(keys), bytesOf(order_id), attempt]);
}
