import type { Adjust } from '../../../core/operation.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = 'SELECT delta FROM adjustment WHERE sku_id = ? AND adjustment_id = ? LOCK IN SHARE MODE';

/** The delta of an adjustment that exists, or null; waits for a transaction that is writing it. */
export async function lockAdjustment(
  transaction: Transaction,
  key: Pick<Adjust, 'sku_id' | 'adjustment_id'>,
): Promise<number | null> {
  const [row] = await transaction.rows<{ delta: number }>(SQL, [bytesOf(key.sku_id), bytesOf(key.adjustment_id)]);
  return row?.delta ?? null;
}
