import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = 'SELECT leaved_amount FROM stock WHERE sku_id = ? AND sub_row = 0';

/** The units left of a SKU at this moment, or null for an unknown SKU. Takes no lock: for messages and classification. */
export async function readLeft(transaction: Transaction, sku_id: string): Promise<number | null> {
  const [row] = await transaction.rows<{ leaved_amount: number }>(SQL, [bytesOf(sku_id)]);
  return row?.leaved_amount ?? null;
}
