import type { CartLine, CommitDecision, OrderTransaction } from '../../../core/types.ts';
import { SERVER_ERROR, ServerError, Unreadable } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { isOlder } from '../session/age.ts';
import { bytesOf } from '../text/bytes.ts';
import { linesText } from './cartLines.ts';

/** A decision comes at most 4.5 s after its transaction began. A transaction this old without a record is aborted. */
export const ABANDONED_MS = 5_000;
/** Aborted records are kept for a minute. */
const KEPT_SECONDS = 60;

const LOCK = 'SELECT state FROM order_record FORCE INDEX (PRIMARY) WHERE transaction_id = ? FOR UPDATE';
const IS_ABANDONED = 'SELECT ABS(UNIX_TIMESTAMP(SYSDATE(6)) * 1000 - ?) > ? AS abandoned';
const ABORT = "INSERT INTO order_record (transaction_id, state, order_id, order_lines) VALUES (?, 'aborted', ?, '[]')";
/** A record that is committed already keeps its lines, which are complete. */
const COMMIT = `
INSERT INTO order_record (transaction_id, state, order_id, order_lines) VALUES (?, 'committed', ?, ?)
ON DUPLICATE KEY UPDATE order_lines = IF(state = 'committed', order_lines, VALUES(order_lines)), state = 'committed'`;
const TO_DELETE = 'INSERT INTO aborted_record (transaction_id) VALUES (?)';
const FIND_OLD = `
SELECT transaction_id FROM aborted_record
 WHERE ${isOlder('created_at', KEPT_SECONDS)} LIMIT ?`;
/** By the key: a scan would lock the records of all orders. */
const DELETE_RECORDS = `
DELETE r FROM order_record AS r FORCE INDEX (PRIMARY) WHERE r.transaction_id IN (?) AND r.state = 'aborted'`;
const DELETE_ABORTED = 'DELETE a FROM aborted_record AS a FORCE INDEX (PRIMARY) WHERE a.transaction_id IN (?)';

const STATES: readonly CommitDecision[] = ['committed', 'aborted'];

/**
 * How a transaction was decided; null: it has no record. Waits for a transaction that is writing the record.
 *
 * @throws Unreadable when the record has no such state: its holds must neither be completed nor undone
 */
export async function lockRecord(
  transaction: Transaction,
  { transaction_id }: OrderTransaction,
): Promise<CommitDecision | null> {
  const [row] = await transaction.rows<{ state: string }>(LOCK, [Buffer.from(transaction_id, 'hex')]);
  if (row === undefined) return null;
  const state = STATES.find((known) => known === row.state);
  if (state !== undefined) return state;
  throw new Unreadable(`the state of a transaction is "${row.state}", expected one of ${STATES.join(', ')}`);
}

/**
 * Whether a transaction is too old for a decision, by the clock of its coordinator. It also is when it began far ahead
 * of that clock, which was set back since then.
 */
export async function isAbandoned(transaction: Transaction, { transaction_id }: OrderTransaction): Promise<boolean> {
  const beganMs = Number.parseInt(transaction_id.slice(0, 12), 16);
  const [row] = await transaction.rows<{ abandoned: number }>(IS_ABANDONED, [beganMs, ABANDONED_MS]);
  return row?.abandoned === 1;
}

/** Records a transaction as aborted. @returns false when it has a record already */
export async function insertAborted(
  transaction: Transaction,
  { transaction_id }: OrderTransaction,
  order_id: string,
): Promise<boolean> {
  const id = Buffer.from(transaction_id, 'hex');
  try {
    await transaction.run(ABORT, [id, bytesOf(order_id)]);
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
  await transaction.run(TO_DELETE, [id]);
  return true;
}

/**
 * Writes a transaction as committed, for a caller that has found that it was sold. An aborted record is overruled: it
 * was written because the record was missing.
 */
export async function commitRecord(
  transaction: Transaction,
  { transaction_id }: OrderTransaction,
  { order_id, lines }: { readonly order_id: string; readonly lines: readonly CartLine[] },
): Promise<void> {
  const id = Buffer.from(transaction_id, 'hex');
  await transaction.run(COMMIT, [id, bytesOf(order_id), linesText(lines)]);
  await transaction.run(DELETE_ABORTED, [[id]]);
}

/** Deletes old aborted records. @param max how many, at most @returns how many there were */
export async function deleteOldAborted(transaction: Transaction, max: number): Promise<number> {
  const rows = await transaction.rows<{ transaction_id: Buffer }>(FIND_OLD, [max]);
  if (rows.length === 0) return 0;
  const ids = rows.map(({ transaction_id }) => transaction_id);
  await transaction.run(DELETE_RECORDS, [ids]);
  await transaction.run(DELETE_ABORTED, [ids]);
  return ids.length;
}
