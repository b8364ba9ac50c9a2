import type { OpeningStock } from '../../core/ports.ts';
import { SERVER_ERROR, ServerError } from '../failures.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const LOCK = 'SELECT sku_id, opening_amount FROM stock WHERE sku_id IN (?) AND sub_row = 0 LOCK IN SHARE MODE';
const INSERT = 'INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ?';

/** The opening stock of those SKUs that stand; waits for transactions that are just opening one. */
export async function lockOpenings(transaction: Transaction, sku_ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await transaction.rows<{ sku_id: Buffer; opening_amount: number }>(LOCK, [sku_ids.map(bytesOf)]);
  return new Map(rows.map(({ sku_id, opening_amount }) => [sku_id.toString('utf8'), opening_amount]));
}

/** Opens SKUs, all or none. @returns false when at least one of them stands already */
export async function insertOpenings(transaction: Transaction, stocks: readonly OpeningStock[]): Promise<boolean> {
  try {
    await transaction.run(INSERT, [stocks.map(({ sku_id, leaved_amount }) => [bytesOf(sku_id), 0, leaved_amount, leaved_amount])]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
