import type { PastKey, PastRow, PastTable } from '../../core/lost.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection, SqlValue } from '../connection.ts';
import { bytesOf, textOf } from './bytes.ts';
import { cartLinesOf } from './carts.ts';

/** How one table is read: its key, what must be alike, and what is told of a row that is missing. */
interface Reading {
  readonly key: readonly { readonly column: string; readonly isId: boolean }[];
  readonly state: string;
  readonly order_id: string;
  readonly quantity: string;
  readonly status: string;
  readonly reason: string;
  readonly lines: string;
}

const id = (column: string) => ({ column, isId: true });
const number = (column: string) => ({ column, isId: false });

const READINGS: Readonly<Record<PastTable, Reading>> = {
  stock: { key: [id('sku_id'), number('sub_row')], state: "''", order_id: 'NULL', quantity: 'opening_amount', status: 'NULL', reason: 'NULL', lines: 'NULL' },
  adjustment: { key: [id('sku_id'), id('adjustment_id')], state: 'delta', order_id: 'NULL', quantity: 'delta', status: 'NULL', reason: 'reason', lines: 'NULL' },
  flow: {
    key: [id('sku_id'), id('order_detail_id')],
    state: "CONCAT_WS(' ', HEX(order_id), quantity, returned, status)",
    order_id: 'order_id',
    quantity: 'quantity',
    status: 'status',
    reason: 'NULL',
    lines: 'NULL',
  },
  flow_return: { key: [id('sku_id'), id('order_detail_id'), id('return_id')], state: 'quantity', order_id: 'NULL', quantity: 'quantity', status: 'NULL', reason: 'NULL', lines: 'NULL' },
  cart: { key: [id('order_id'), number('attempt')], state: 'state', order_id: 'order_id', quantity: '0', status: 'NULL', reason: 'NULL', lines: 'order_lines' },
};

interface Row {
  readonly [column: `key_${number}`]: Buffer | number;
  readonly state: string;
  readonly order_id: Buffer | null;
  readonly quantity: number | string;
  readonly status: PastRow['status'];
  readonly reason: string | null;
  readonly order_lines: Buffer | null;
}

/** A page of a table in the order of its key; a range of the primary key, however deep. */
export async function readStatePage(connection: Connection, table: PastTable, after: PastKey | null, max: number, deadlineMs: DeadlineMs): Promise<PastRow[]> {
  const { key, state, order_id, quantity, status, reason, lines } = READINGS[table];
  const columns = key.map(({ column }) => column);
  const shown = columns.map((column, place) => `${column} AS key_${place}`).join(', ');
  const { sql, values } = after === null ? { sql: '', values: [] } : beyond(columns, after);
  const rows = await connection.rows<Row>(
    `SELECT ${shown}, CAST(${state} AS CHAR) AS state, ${order_id} AS order_id, ${quantity} AS quantity, ${status} AS status, ${reason} AS reason, ${lines} AS order_lines
       FROM ${table} FORCE INDEX (PRIMARY) ${sql} ORDER BY ${columns.join(', ')} LIMIT ?`,
    [...values, max],
    deadlineMs,
  );
  return rows.map((row) => ({
    key: key.map(({ isId }, place) => cellOf(row[`key_${place}`] ?? 0, isId)),
    state: row.state,
    order_id: row.order_id === null ? null : textOf(row.order_id),
    quantity: Number(row.quantity),
    status: row.status,
    reason: row.reason,
    lines: row.order_lines === null ? null : cartLinesOf(row.order_lines),
  }));
}

/** `(a = ? AND b = ? AND c > ?) OR (a = ? AND b > ?) OR a > ?`: each part is a range of the key, which a comparison of rows is not to MySQL. */
function beyond(columns: readonly string[], after: PastKey): { sql: string; values: SqlValue[] } {
  const cells = after.map((cell) => (typeof cell === 'string' ? bytesOf(cell) : cell));
  const parts = columns.map((column, place) => ({
    sql: [...columns.slice(0, place).map((same) => `${same} = ?`), `${column} > ?`].join(' AND '),
    values: cells.slice(0, place + 1),
  }));
  return { sql: `WHERE ${parts.map(({ sql }) => `(${sql})`).join(' OR ')}`, values: parts.flatMap(({ values }) => values) };
}

function cellOf(cell: Buffer | number, isId: boolean): string | number {
  return isId ? textOf(cell as Buffer) : Number(cell);
}
