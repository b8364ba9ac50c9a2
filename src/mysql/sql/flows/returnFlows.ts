import type { FlowKey, Line } from '../../../core/types.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';

const INSERT = 'INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity) VALUES ?';
const READ =
  'SELECT quantity FROM flow_return WHERE sku_id = ? AND order_detail_id = ? AND return_id = ? LOCK IN SHARE MODE';
const ADD =
  'UPDATE flow SET returned = returned + ? WHERE sku_id = ? AND order_detail_id = ? AND returned + ? <= quantity';

/** The return id under which a cancellation returns the rest: no caller's id is empty. */
export const CANCELLATION = '';

/**
 * Writes the journal rows of returns under one return id, all or none.
 *
 * @param lines at least one, sorted by key; `quantity` is what comes back
 * @returns false when one of the keys exists already; then none was written
 */
export async function insertReturns(
  transaction: Transaction,
  lines: readonly Line[],
  return_id: string,
): Promise<boolean> {
  const id = bytesOf(return_id);
  try {
    await transaction.run(INSERT, [
      lines.map((line) => [bytesOf(line.sku_id), bytesOf(line.order_detail_id), id, line.quantity]),
    ]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}

/** The units of a return that exists, or null; waits for a transaction that is writing it. */
export async function lockReturn(transaction: Transaction, key: FlowKey, return_id: string): Promise<number | null> {
  const [row] = await transaction.rows<{ quantity: number }>(READ, [
    bytesOf(key.sku_id),
    bytesOf(key.order_detail_id),
    bytesOf(return_id),
  ]);
  return row?.quantity ?? null;
}

/** Adds returned units to their flow, never above its quantity. @returns false when they would exceed it */
export async function countReturned(transaction: Transaction, key: FlowKey, units: number): Promise<boolean> {
  return (await transaction.run(ADD, [units, bytesOf(key.sku_id), bytesOf(key.order_detail_id), units])) === 1;
}

/**
 * Marks flows as cancelled, with all units returned. An undone hold, of which nothing was ever deducted, becomes a
 * tombstone. Their rows must be locked.
 *
 * @param keys at least one
 * @returns false when one of them is not, or no longer, deducted or void; then the transaction must be rolled back
 */
export async function cancelFlows(
  transaction: Transaction,
  keys: readonly FlowKey[],
  order_id: string,
): Promise<boolean> {
  // An assignment uses the results of those before it, so the status is assigned last.
  const sql = `
UPDATE flow FORCE INDEX (PRIMARY)
   SET order_id = ?, returned = IF(status = 'void', 0, quantity), quantity = IF(status = 'void', 0, quantity),
       status = 'cancelled'
 WHERE ${anyOf(keys)} AND status IN ('deducted', 'void')`;
  return (await transaction.run(sql, [bytesOf(order_id), ...keyValues(keys)])) === keys.length;
}
