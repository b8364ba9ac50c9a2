import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = 'SELECT opening_amount FROM stock WHERE sku_id = ? AND sub_row = 0 LOCK IN SHARE MODE';

/** The opening stock of a SKU, or null; waits for a transaction that is opening it. */
export async function lockOpening(transaction: Transaction, sku_id: string): Promise<number | null> {
  const [row] = await transaction.rows<{ opening_amount: number }>(SQL, [bytesOf(sku_id)]);
  return row?.opening_amount ?? null;
}
