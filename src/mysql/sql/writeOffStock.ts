import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount - ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0 AND leaved_amount >= ?`;

/**
 * Takes units off the shelf that are not sold, whether the SKU is on sale or not.
 *
 * @returns false when fewer are left or the SKU is unknown; nothing was taken then
 */
export async function writeOffStock(transaction: Transaction, sku_id: string, units: number): Promise<boolean> {
  return (await transaction.run(SQL, [units, bytesOf(sku_id), units])) === 1;
}
