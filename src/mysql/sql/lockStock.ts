import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = 'SELECT version FROM stock WHERE sku_id = ? AND sub_row = 0 FOR UPDATE';

/** Keeps what is left of a SKU as it is until the transaction ends. @returns false when it is unknown */
export async function lockStock(transaction: Transaction, sku_id: string): Promise<boolean> {
  return (await transaction.rows(SQL, [bytesOf(sku_id)])).length > 0;
}
