import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount - ?, held_amount = held_amount + ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0 AND leaved_amount >= ?
   AND sale_state = 'on' AND (sale_from IS NULL OR sale_from <= CURRENT_TIMESTAMP(6))`;

/**
 * Takes units of a SKU if that many are left and it is on sale. The condition stands in the statement, never in this
 * program.
 *
 * @param isHold they are held for a cart and not yet sold
 * @returns false when fewer are left, or the SKU is unknown or not on sale; nothing was taken then
 */
export async function takeStock(transaction: Transaction, sku_id: string, units: number, isHold: boolean): Promise<boolean> {
  return (await transaction.run(SQL, [units, isHold ? units : 0, bytesOf(sku_id), units])) === 1;
}
