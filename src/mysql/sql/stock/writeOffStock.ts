import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount - ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0 AND leaved_amount >= ?`;

/**
 * Takes units away that were not sold, whether or not the SKU is on sale.
 *
 * @returns false when fewer are left or the SKU is unknown; then nothing was taken
 */
export async function writeOffStock(transaction: Transaction, sku_id: string, units: number): Promise<boolean> {
  return (await transaction.run(SQL, [units, bytesOf(sku_id), units])) === 1;
}
