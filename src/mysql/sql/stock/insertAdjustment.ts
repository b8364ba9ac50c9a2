import type { Adjust } from '../../../core/operation.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = 'INSERT INTO adjustment (sku_id, adjustment_id, delta, reason) VALUES (?, ?, ?, ?)';

/** Writes the journal row of an adjustment. @returns false when its key exists already */
export async function insertAdjustment(transaction: Transaction, adjustment: Adjust): Promise<boolean> {
  const { sku_id, adjustment_id, delta, reason } = adjustment;
  const values = [bytesOf(sku_id), bytesOf(adjustment_id), delta, reason === null ? null : Buffer.from(reason, 'utf8')];
  try {
    await transaction.run(SQL, values);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
