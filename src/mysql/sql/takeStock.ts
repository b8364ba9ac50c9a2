import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount - ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0 AND leaved_amount >= ?`;

/**
 * Takes units of a SKU if that many are left. The condition stands in the statement, never in this program.
 *
 * @returns false when fewer are left or the SKU is unknown; nothing was taken then
 */
export async function takeStock(transaction: Transaction, sku_id: string, units: number): Promise<boolean> {
  return (await transaction.run(SQL, [units, bytesOf(sku_id), units])) === 1;
}
