import { STOCK_LIMIT } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount + ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0 AND leaved_amount + held_amount <= ?`;

/**
 * Puts units of a SKU back on the shelf as long as they stay within the limit, with what is held and may come back too.
 *
 * @returns false when they would not, or the SKU is unknown; nothing was added then
 */
export async function addStock(transaction: Transaction, sku_id: string, units: number): Promise<boolean> {
  return (await transaction.run(SQL, [units, bytesOf(sku_id), STOCK_LIMIT - units])) === 1;
}
