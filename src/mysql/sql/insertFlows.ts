import type { Line } from '../../core/nouns.ts';
import { SERVER_ERROR, ServerError } from '../failures.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = 'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES ?';

/**
 * Writes the flows of an order's lines, all or none. The flow key is the primary key, so this is where a repeated id
 * shows, and where it waits for another transaction that is just writing the same id.
 *
 * @param lines at least one, sorted by key
 * @returns false when at least one of the keys stands already; then none was written
 */
export async function insertFlows(transaction: Transaction, order_id: string, lines: readonly Line[]): Promise<boolean> {
  const order = bytesOf(order_id);
  const rows = lines.map((line) => [bytesOf(line.sku_id), bytesOf(line.order_detail_id), order, line.quantity]);
  try {
    await transaction.run(SQL, [rows]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
