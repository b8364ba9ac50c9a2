import type { CartKey, CartLine, CommitDecision } from '../../../core/types.ts';
import type { CartState } from '../../../core/ports/cartRecords.ts';
import { SERVER_ERROR, ServerError, Unreadable } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { isOlder } from '../session/age.ts';
import { bytesOf } from '../text/bytes.ts';
import { cartLinesOf, linesText } from './cartLines.ts';

/** Gateways other than the coordinator may abort a cart only when its record is this old, by the clock of its shard. */
export const ABANDONED_SECONDS = 5;

const LATEST = `
SELECT attempt, token, state, order_lines, ${isOlder('created_at', ABANDONED_SECONDS)} AS abandoned
  FROM cart FORCE INDEX (PRIMARY) WHERE order_id = ? ORDER BY attempt DESC LIMIT 1 FOR UPDATE`;
const ONE = `
SELECT attempt, token, state, order_lines, ${isOlder('created_at', ABANDONED_SECONDS)} AS abandoned
  FROM cart FORCE INDEX (PRIMARY) WHERE order_id = ? AND attempt = ? FOR UPDATE`;
const INSERT = 'INSERT INTO cart (order_id, attempt, token, state, order_lines) VALUES (?, ?, ?, ?, ?)';
const DECIDE = `
UPDATE cart SET state = ?, decided_at = CURRENT_TIMESTAMP(6)
 WHERE order_id = ? AND attempt = ? AND state = 'open'`;

const OVERRULE =
  "UPDATE cart SET state = 'committed', order_lines = ? " +
  "WHERE order_id = ? AND attempt = ? AND state = 'aborted' AND order_lines = '[]'";

/** The numbers of the words in the column's type. */
const STATES = { open: 1, committed: 2, aborted: 3 } as const;

/** A cart's record under a lock. */
export interface LockedCart {
  readonly attempt: number;
  /** Identifies the coordinator of the cart. */
  readonly token: Buffer;
  readonly state: CartState;
  /** Null: they cannot be read. The state alone shows how the cart ended. */
  readonly lines: readonly CartLine[] | null;
  /** Old enough for other gateways to abort it. */
  readonly isAbandoned: boolean;
}

interface Row {
  readonly attempt: number;
  readonly token: Buffer;
  readonly state: string;
  readonly order_lines: Buffer;
  readonly abandoned: number;
}

/** The last attempt of an order, or null when it has none. */
export async function lockLatestCart(transaction: Transaction, order_id: string): Promise<LockedCart | null> {
  return cartOf(await transaction.rows<Row>(LATEST, [bytesOf(order_id)]));
}

/**
 * Records as sold an attempt whose record had not been found, and was therefore written as aborted.
 *
 * @returns false when the record has another content, or its coordinator had aborted it
 */
export async function commitAborted(
  transaction: Transaction,
  { order_id, attempt, lines }: CartKey & { readonly lines: readonly CartLine[] },
): Promise<boolean> {
  return (await transaction.run(OVERRULE, [linesText(lines), bytesOf(order_id), attempt])) === 1;
}

/** One attempt, or null. */
export async function lockCart(transaction: Transaction, { order_id, attempt }: CartKey): Promise<LockedCart | null> {
  return cartOf(await transaction.rows<Row>(ONE, [bytesOf(order_id), attempt]));
}

/** Writes the record of an attempt. @returns false when it exists already */
export async function insertCart(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  record: { readonly token: Buffer; readonly state: CartState; readonly lines: readonly CartLine[] },
): Promise<boolean> {
  const lines = linesText(record.lines);
  try {
    await transaction.run(INSERT, [bytesOf(order_id), attempt, record.token, STATES[record.state], lines]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}

/** Decides a cart that is open. @returns false when it was decided already or does not exist */
export async function decideCart(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  decision: CommitDecision,
): Promise<boolean> {
  return (await transaction.run(DECIDE, [STATES[decision], bytesOf(order_id), attempt])) === 1;
}

function cartOf([row]: readonly Row[]): LockedCart | null {
  if (row === undefined) return null;
  if (!isCartState(row.state)) {
    throw new Unreadable(`the state of a cart is "${row.state}", expected one of ${Object.keys(STATES).join(', ')}`);
  }
  return {
    attempt: row.attempt,
    token: row.token,
    state: row.state,
    lines: cartLinesOf(row.order_lines),
    isAbandoned: row.abandoned === 1,
  };
}

function isCartState(state: string): state is CartState {
  return Object.hasOwn(STATES, state);
}
