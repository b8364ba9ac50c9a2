import type { FlowKey } from '../../core/nouns.ts';
import { SERVER_ERROR, ServerError } from '../failures.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const INSERT = 'INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity) VALUES (?, ?, ?, ?)';
const READ = 'SELECT quantity FROM flow_return WHERE sku_id = ? AND order_detail_id = ? AND return_id = ? LOCK IN SHARE MODE';
const ADD = 'UPDATE flow SET returned = returned + ? WHERE sku_id = ? AND order_detail_id = ? AND returned + ? <= quantity';
const CANCEL = "UPDATE flow SET order_id = ?, quantity = quantity * ?, returned = quantity, status = 'cancelled' WHERE sku_id = ? AND order_detail_id = ?";

/** The return id under which a cancellation gives back the rest: no caller's id is empty. */
export const CANCELLATION = '';

/** Writes the journal row of a return. @returns false when its key stands already */
export async function insertReturn(transaction: Transaction, key: FlowKey, return_id: string, quantity: number): Promise<boolean> {
  try {
    await transaction.run(INSERT, [bytesOf(key.sku_id), bytesOf(key.order_detail_id), bytesOf(return_id), quantity]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}

/** The units of a return that stands, or null; waits for a transaction that is just writing it. */
export async function lockReturn(transaction: Transaction, key: FlowKey, return_id: string): Promise<number | null> {
  const [row] = await transaction.rows<{ quantity: number }>(READ, [bytesOf(key.sku_id), bytesOf(key.order_detail_id), bytesOf(return_id)]);
  return row?.quantity ?? null;
}

/** Counts returned units into their flow, never above its quantity. @returns false when that would be */
export async function countReturned(transaction: Transaction, key: FlowKey, units: number): Promise<boolean> {
  return (await transaction.run(ADD, [units, bytesOf(key.sku_id), bytesOf(key.order_detail_id), units])) === 1;
}

/** Marks a flow as cancelled with everything given back. @param wasVoid nothing was ever deducted: it becomes a tombstone */
export async function cancelFlow(transaction: Transaction, key: FlowKey, order_id: string, wasVoid: boolean): Promise<void> {
  await transaction.run(CANCEL, [bytesOf(order_id), wasVoid ? 0 : 1, bytesOf(key.sku_id), bytesOf(key.order_detail_id)]);
}
