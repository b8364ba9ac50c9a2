import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = 'INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES (?, 0, ?, ?)';

/** Opens a SKU. @returns false when it exists already */
export async function insertStock(transaction: Transaction, sku_id: string, leaved_amount: number): Promise<boolean> {
  try {
    await transaction.run(SQL, [bytesOf(sku_id), leaved_amount, leaved_amount]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
