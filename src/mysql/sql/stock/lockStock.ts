import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = 'SELECT version FROM stock WHERE sku_id = ? AND sub_row = 0 FOR UPDATE';

const EACH =
  'SELECT version FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?) AND sub_row = 0 ORDER BY sku_id FOR UPDATE';

/** Locks the first stock row of a SKU until the transaction ends. @returns false when the SKU is unknown */
export async function lockStock(transaction: Transaction, sku_id: string): Promise<boolean> {
  return (await transaction.rows(SQL, [bytesOf(sku_id)])).length > 0;
}

/** Locks the first stock rows of some SKUs, in the order of the primary key. @param sku_ids as bytes, at least one */
export async function lockStocks(transaction: Transaction, sku_ids: readonly Buffer[]): Promise<void> {
  await transaction.rows(EACH, [sku_ids]);
}
