import { STOCK_LIMIT } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { unitsBySku } from './unitsBySku.ts';

/**
 * Puts units of some SKUs back on the shelf, of each as long as it stays within the limit, with what is held and may
 * come back too. Rows are locked in the order of the primary key.
 *
 * @param back units by SKU; at least one
 * @returns true when all were added; false when one found no room or is unknown: then the transaction is to be rolled back
 */
export async function addStock(transaction: Transaction, back: ReadonlyMap<string, number>): Promise<boolean> {
  const { units, values, sku_ids } = unitsBySku(back);
  const sql = `
UPDATE stock FORCE INDEX (PRIMARY)
   SET leaved_amount = leaved_amount + ${units}, version = version + 1
 WHERE sku_id IN (?) AND sub_row = 0 AND leaved_amount + held_amount <= ? - ${units}`;
  return (await transaction.run(sql, [...values, sku_ids, STOCK_LIMIT, ...values])) === back.size;
}
