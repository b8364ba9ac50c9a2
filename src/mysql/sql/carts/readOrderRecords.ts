import type { CartPage, DecidedCart } from '../../../core/books/reconciliation.ts';
import type { CartKey, CommitDecision, DeadlineMs, OrderTransaction, ShardIndex } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { OVERDUE_SECONDS } from '../books/findOverdueHolds.ts';
import { isOlder } from '../session/age.ts';
import { isText, quotedBytes, textOf } from '../text/bytes.ts';
import { cartLinesOf, LINES_FAULT, shardFaultOf } from './cartLines.ts';
import { nameInLines } from './readDecidedCarts.ts';

/** An aborted record has no lines. A state that is none of the two is reported. */
const PAGE = (naming: string): string => `
SELECT transaction_id, state, order_id, order_lines FROM order_record FORCE INDEX (PRIMARY)
 WHERE transaction_id > ? AND state <> 'aborted' ${naming}
 ORDER BY transaction_id LIMIT ?`;
/** The server searches the lines for the SKU, so that other records are not sent. */
const NAMING = 'AND LOCATE(?, order_lines) > 0';
const BY_ID = 'FROM order_record FORCE INDEX (PRIMARY) WHERE transaction_id IN (?)';
const FRESH = `NOT ${isOlder('created_at', OVERDUE_SECONDS)}`;

interface Row {
  readonly transaction_id: Buffer;
  readonly state: string;
  readonly order_id: Buffer;
  readonly order_lines: Buffer;
}

/** A cart that is named by its transaction. */
export type TransactionCart = CartKey & { readonly transaction: OrderTransaction };

/** Which records to read, and after which transaction. */
export interface RecordPageQuery {
  readonly after: string | null;
  readonly max: number;
  /** Only records with a line of this SKU; null: all. */
  readonly naming: string | null;
}

/**
 * A page of the order records of committed transactions, in the order of their ids.
 *
 * @param coordinator the shard of the connection
 * @param shardCount shards from this number on do not exist
 * @param waitMs the longest wait for the answer; if absent, as for any statement
 */
export async function readOrderRecords(
  connection: Connection,
  coordinator: ShardIndex,
  shardCount: number,
  { after, max, naming }: RecordPageQuery,
  deadlineMs: DeadlineMs,
  waitMs?: number,
): Promise<CartPage<string>> {
  const values = [Buffer.from(after ?? '', 'hex'), ...(naming === null ? [] : [nameInLines(naming)]), max];
  const rows = await connection.rows<Row>(PAGE(naming === null ? '' : NAMING), values, deadlineMs, waitMs);
  const [carts, unreadable]: [DecidedCart[], string[]] = [[], []];
  for (const row of rows) {
    const cart = cartOf(row, coordinator, shardCount);
    if (typeof cart !== 'string') carts.push(cart);
    else unreadable.push(`the record of order ${quotedBytes(row.order_id)} transaction ${hexOf(row)}: ${cart}`);
  }
  const last = rows.at(-1);
  return { carts, unreadable, next: last === undefined || rows.length < max ? null : hexOf(last) };
}

/** The decisions of some transactions; their lines need not be readable. @param carts at least one */
export async function readRecordDecisions(
  connection: Connection,
  carts: readonly TransactionCart[],
  deadlineMs: DeadlineMs,
): Promise<(CartKey & Pick<DecidedCart, 'state'>)[]> {
  const rows = await connection.rows<Pick<Row, 'transaction_id'> & { readonly state: CommitDecision }>(
    `SELECT transaction_id, state ${BY_ID}`,
    [carts.map(valueOf)],
    deadlineMs,
  );
  const states = new Map(rows.map((row) => [hexOf(row), row.state]));
  return carts.flatMap(({ order_id, attempt, transaction }) => {
    const state = states.get(transaction.transaction_id);
    return state === undefined ? [] : [{ order_id, attempt, transaction, state }];
  });
}

/** Those of some transactions that were decided lately. @param carts at least one */
export async function findRecentRecords(
  connection: Connection,
  carts: readonly TransactionCart[],
  deadlineMs: DeadlineMs,
): Promise<CartKey[]> {
  const rows = await connection.rows<Pick<Row, 'transaction_id'>>(
    `SELECT transaction_id ${BY_ID} AND ${FRESH}`,
    [carts.map(valueOf)],
    deadlineMs,
  );
  const recent = new Set(rows.map(hexOf));
  return carts.filter(({ transaction }) => recent.has(transaction.transaction_id));
}

function valueOf({ transaction: { transaction_id } }: TransactionCart): Buffer {
  return Buffer.from(transaction_id, 'hex');
}

function hexOf({ transaction_id }: Pick<Row, 'transaction_id'>): string {
  return transaction_id.toString('hex');
}

/** @returns the record, or the fault of one that cannot be read */
function cartOf(row: Row, coordinator: ShardIndex, shardCount: number): DecidedCart | string {
  if (row.state !== 'committed') return `its state is "${row.state}", expected "committed" or "aborted"`;
  if (!isText(row.order_id)) return 'its order id is not UTF-8';
  const lines = cartLinesOf(row.order_lines);
  if (lines === null) return LINES_FAULT;
  const fault = shardFaultOf(lines, shardCount);
  if (fault !== null) return fault;
  const transaction = { transaction_id: hexOf(row), coordinator };
  return { order_id: textOf(row.order_id), attempt: 0, transaction, state: 'committed', lines };
}
