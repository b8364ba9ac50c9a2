import type { OpeningStock } from '../../../core/ports/stockOpener.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

/** Without the index a small table would be scanned, and a locking scan waits for locks on unrelated rows. */
const READ = 'SELECT sku_id, opening_amount FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?) AND sub_row = 0';
const LOCK = `${READ} LOCK IN SHARE MODE`;
const INSERT = 'INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ?';

/** The opening stock of the SKUs that exist. It never changes, so nothing is locked. */
export function readOpenings(
  transaction: Transaction,
  sku_ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  return openings(transaction, READ, sku_ids);
}

/** The same; waits for transactions that are opening one of them. */
export function lockOpenings(
  transaction: Transaction,
  sku_ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  return openings(transaction, LOCK, sku_ids);
}

async function openings(
  transaction: Transaction,
  sql: string,
  sku_ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await transaction.rows<{ sku_id: Buffer; opening_amount: number }>(sql, [sku_ids.map(bytesOf)]);
  return new Map(rows.map(({ sku_id, opening_amount }) => [sku_id.toString('utf8'), opening_amount]));
}

/** Opens SKUs, all or none. @returns false when at least one of them exists already */
export async function insertOpenings(transaction: Transaction, stocks: readonly OpeningStock[]): Promise<boolean> {
  try {
    await transaction.run(INSERT, [
      stocks.map(({ sku_id, leaved_amount }) => [bytesOf(sku_id), 0, leaved_amount, leaved_amount]),
    ]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
