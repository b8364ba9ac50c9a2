import type { StateCell, StateKey, StateRow, StateTable } from '../../../core/restore/stateRows.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { DIRECTION } from '../batch/applyBatch.ts';

const KEYS: Readonly<Record<StateTable, readonly string[]>> = {
  stock: ['sku_id', 'sub_row'],
  hot_sku: ['sku_id'],
  adjustment: ['sku_id', 'adjustment_id'],
  transfer: ['sku_id', 'transfer_id', 'direction'],
  cart: ['order_id', 'attempt'],
  order_record: ['transaction_id'],
  flow: ['sku_id', 'order_detail_id'],
  flow_return: ['sku_id', 'order_detail_id', 'return_id'],
  cart_hold: ['sku_id', 'order_detail_id'],
};

/** Columns that count changes. They must keep growing, also when a row is written over another. */
const COUNTERS: ReadonlySet<string> = new Set(['version', 'revision']);
/** Columns that are not compared: the counters, and leases, which last for a moment and serve only speed. */
const UNCOMPARED: ReadonlySet<string> = new Set([...COUNTERS, 'lease_token', 'lease_until']);

/** A page of a table in the order of its key: one range of the primary key, however far into the table. */
export async function readStatePage(
  connection: Connection,
  table: StateTable,
  after: StateKey | null,
  max: number,
  deadlineMs: DeadlineMs,
): Promise<StateRow[]> {
  const { sql, values } = after === null ? { sql: '', values: [] } : beyond(KEYS[table], after);
  const rows = await connection.rows<StateRow['cells']>(
    `SELECT * FROM ${table} FORCE INDEX (PRIMARY) ${sql} ORDER BY ${KEYS[table].join(', ')} LIMIT ?`,
    [...values, max],
    deadlineMs,
  );
  return rows.map((cells) => ({
    key: KEYS[table].map((column) => keyCell(column, cells[column] ?? 0)),
    state: stateOf(cells),
    cells,
  }));
}

/** Writes rows over those with the same keys. @param rows at least one */
export async function putStateRows(
  connection: Connection,
  table: StateTable,
  rows: readonly StateRow[],
  deadlineMs: DeadlineMs,
): Promise<void> {
  const columns = Object.keys(rows[0]?.cells ?? {});
  const sets = columns.map(
    (column) => `${column} = ${COUNTERS.has(column) ? `GREATEST(${column}, VALUES(${column}))` : `VALUES(${column})`}`,
  );
  const values = rows.map(({ cells }) => columns.map((column) => valueOf(cells[column] ?? null)));
  await connection.run(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES ? ON DUPLICATE KEY UPDATE ${sets.join(', ')}`,
    [values],
    deadlineMs,
  );
}

/** Deletes rows; with records, the rows that list them for their deletion. @param keys at least one */
export async function deleteStateRows(
  connection: Connection,
  table: StateTable,
  keys: readonly StateKey[],
  deadlineMs: DeadlineMs,
): Promise<void> {
  const tables = table === 'order_record' ? ['aborted_record', table] : [table];
  for (const each of tables)
    await connection.run(
      `DELETE FROM ${each} WHERE (${KEYS[table].join(', ')}) IN (?)`,
      [keys.map((key) => [...key])],
      deadlineMs,
    );
}

/**
 * `(a = ? AND b = ? AND c > ?) OR (a = ? AND b > ?) OR a > ?`: each part is a range of the key. MySQL does not use a
 * comparison of rows as a range.
 */
function beyond(columns: readonly string[], after: StateKey): { sql: string; values: SqlValue[] } {
  const parts = columns.map((column, place) => ({
    sql: [...columns.slice(0, place).map((same) => `${same} = ?`), `${column} > ?`].join(' AND '),
    values: after.slice(0, place + 1),
  }));
  return {
    sql: `WHERE ${parts.map(({ sql }) => `(${sql})`).join(' OR ')}`,
    values: parts.flatMap(({ values }) => values),
  };
}

/** The server sorts a direction, and compares it with a number, by its number in the column's type. */
function keyCell(column: string, cell: NonNullable<StateCell>): Buffer | number {
  if (column === 'direction') return DIRECTION[cell as keyof typeof DIRECTION];
  return Buffer.isBuffer(cell) ? cell : Number(cell);
}

function stateOf(cells: StateRow['cells']): string {
  return JSON.stringify(
    Object.entries(cells).flatMap(([column, cell]) =>
      UNCOMPARED.has(column) ? [] : [Buffer.isBuffer(cell) ? cell.toString('latin1') : cell],
    ),
  );
}

/** Texts are sent as bytes, as ids are. */
function valueOf(cell: StateCell): SqlValue {
  return typeof cell === 'string' ? Buffer.from(cell, 'utf8') : cell;
}
