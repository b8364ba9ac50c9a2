import type { CartKey, DeadlineMs, CommitDecision } from '../../../core/types.ts';
import type { CartPage, CartPosition, DecidedCart } from '../../../core/books/reconciliation.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { isOlder } from '../session/age.ts';
import { bytesOf, isText, quotedBytes, textOf } from '../text/bytes.ts';
import { cartLinesOf, LINES_FAULT, shardFaultOf } from './cartLines.ts';
import { OVERDUE_SECONDS } from '../books/findOverdueHolds.ts';

const COLUMNS = 'order_id, attempt, state, order_lines';
/**
 * The server searches the lines for the SKU, so that other carts are not sent. Records without lines may be about any
 * SKU.
 */
const NAMING = "AND (LOCATE(?, order_lines) > 0 OR order_lines = '[]')";
const PAGE = (naming: string): string => `
SELECT ${COLUMNS} FROM cart FORCE INDEX (PRIMARY)
 WHERE order_id >= ? AND (order_id > ? OR attempt > ?) AND state <> 'open' ${naming}
 ORDER BY order_id, attempt LIMIT ?`;
const BY_KEY = 'FROM cart FORCE INDEX (PRIMARY) WHERE (order_id, attempt) IN (?)';
const FRESH = `state = 'open' OR NOT ${isOlder('decided_at', OVERDUE_SECONDS)}`;

interface Row {
  readonly order_id: Buffer;
  readonly attempt: number;
  readonly state: CommitDecision;
  readonly order_lines: Buffer;
}

/** Which records to read, and after which position. */
export interface CartPageQuery {
  readonly after: CartPosition | null;
  readonly max: number;
  /** Only carts with a line of this SKU; null: all. */
  readonly naming: string | null;
}

/**
 * A page of the records of decided carts, in the order of their keys.
 *
 * @param shardCount shards from this number on do not exist
 */
export async function readDecidedCarts(
  connection: Connection,
  shardCount: number,
  { after, max, naming }: CartPageQuery,
  deadlineMs: DeadlineMs,
): Promise<CartPage> {
  const from = Buffer.from(after?.orderIdHex ?? '', 'hex');
  const values = [from, from, after?.attempt ?? 0, ...(naming === null ? [] : [nameInLines(naming)]), max];
  const rows = await connection.rows<Row>(PAGE(naming === null ? '' : NAMING), values, deadlineMs);
  const last = rows.at(-1);
  const [carts, unreadable]: [DecidedCart[], string[]] = [[], []];
  for (const row of rows) {
    const cart = cartOf(row, shardCount);
    const record = `the record of order ${quotedBytes(row.order_id)} attempt ${row.attempt}`;
    if (typeof cart === 'string') unreadable.push(`${record}: ${cart}`);
    else carts.push(cart);
  }
  return {
    ...{ carts, unreadable },
    next:
      last === undefined || rows.length < max
        ? null
        : { orderIdHex: last.order_id.toString('hex'), attempt: last.attempt },
  };
}

/** A SKU as the lines of a record name it: the first value of a line. */
export function nameInLines(sku_id: string): Buffer {
  return bytesOf(`[${JSON.stringify(sku_id)},`);
}

/** The decisions of some carts; their lines need not be readable. @param keys at least one */
export async function readCommitDecisions(
  connection: Connection,
  keys: readonly CartKey[],
  deadlineMs: DeadlineMs,
): Promise<(CartKey & Pick<DecidedCart, 'state'>)[]> {
  const sql = `SELECT order_id, attempt, state ${BY_KEY} AND state <> 'open'`;
  const rows = await connection.rows<Row>(sql, [keys.map(valuesOf)], deadlineMs);
  return rows.map(({ order_id, attempt, state }) => ({ order_id: textOf(order_id), attempt, state }));
}

/** Those of some carts that are open or were decided lately. @param keys at least one */
export async function findRecentCarts(
  connection: Connection,
  keys: readonly CartKey[],
  deadlineMs: DeadlineMs,
): Promise<CartKey[]> {
  const rows = await connection.rows<Row>(
    `SELECT order_id, attempt ${BY_KEY} AND (${FRESH})`,
    [keys.map(valuesOf)],
    deadlineMs,
  );
  return rows.map(({ order_id, attempt }) => ({ order_id: textOf(order_id), attempt }));
}

function valuesOf({ order_id, attempt }: CartKey): SqlValue[] {
  return [bytesOf(order_id), attempt];
}

/** @returns the record, or the fault of one that cannot be read */
function cartOf({ order_id, attempt, state, order_lines }: Row, shardCount: number): DecidedCart | string {
  if (!isText(order_id)) return 'its id is not UTF-8';
  const lines = cartLinesOf(order_lines);
  if (lines === null) return LINES_FAULT;
  const fault = shardFaultOf(lines, shardCount);
  if (fault !== null) return fault;
  return { order_id: textOf(order_id), attempt, state, lines };
}
