import type { Transaction } from '../../connection/transaction.ts';
import { isSellable } from './sellable.ts';
import { unitsBySku } from './unitsBySku.ts';

/**
 * Takes units of some SKUs, if of each that many are left, it is on sale and it is not split. The statement checks the
 * condition, and this program never does. Rows are locked in the order of the primary key. Without the forced index a
 * small table would be scanned, and a locking scan waits for locks on unrelated rows.
 *
 * @param wanted units by SKU; at least one
 * @param isHold the units are held for a cart, and not yet sold
 * @returns true when all were taken; otherwise the transaction must be rolled back
 */
export async function takeStock(
  transaction: Transaction,
  wanted: ReadonlyMap<string, number>,
  isHold: boolean,
): Promise<boolean> {
  const { units, values, sku_ids } = unitsBySku(wanted);
  const sql = `
UPDATE stock FORCE INDEX (PRIMARY)
   SET leaved_amount = leaved_amount - ${units}, held_amount = held_amount + ${isHold ? units : '0'},
       version = version + 1
 WHERE sku_id IN (?) AND sub_row = 0 AND leaved_amount >= ${units} AND intake = 'any'
   AND sale_state = 'on' AND (sale_from IS NULL OR sale_from <= CURRENT_TIMESTAMP(6)) AND ${isSellable('stock')}`;
  return (await transaction.run(sql, [...values, ...(isHold ? values : []), sku_ids, ...values])) === wanted.size;
}
