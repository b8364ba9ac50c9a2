import type { RowDataPacket } from 'mysql2/promise';
import { sideSession } from './sideSession.ts';

/** The SKUs and the order whose rows are read. */
export interface RowIds {
  readonly sku_ids: readonly string[];
  readonly order_id: string;
}

const OF_SKUS = ['stock', 'flow', 'flow_return', 'adjustment', 'cart_hold', 'transfer'];
/** Columns that differ each time, or that a change without an effect counts up. */
const IGNORED = ['created_at', 'decided_at', 'token', 'version', 'transaction_id'];
const OF_ORDERS: Readonly<Record<string, string>> = {
  cart: 'SELECT * FROM cart WHERE order_id = ?',
  order_record: 'SELECT * FROM order_record WHERE order_id = ?',
  aborted_record: `SELECT a.* FROM aborted_record a JOIN order_record USING (transaction_id) WHERE order_id = ?`,
};

/**
 * Every row of some SKUs and an order on a shard, read by a separate session that waits for no lock. Ids are replaced
 * by their positions, so that the same rows of other ids give the same text.
 */
export async function rowsOf(shard: number, { sku_ids, order_id }: RowIds): Promise<string[]> {
  const session = await sideSession(shard);
  try {
    await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    const lines: string[] = [];
    const add = (table: string, rows: readonly RowDataPacket[]): void =>
      void lines.push(...rows.map((row) => `${table}: ${textOf(row)}`));
    const skus = sku_ids.map((sku_id) => Buffer.from(sku_id));
    for (const table of OF_SKUS)
      add(table, (await session.query<RowDataPacket[]>('SELECT * FROM ?? WHERE sku_id IN (?)', [table, skus]))[0]);
    for (const [table, sql] of Object.entries(OF_ORDERS))
      add(table, (await session.query<RowDataPacket[]>(sql, [Buffer.from(order_id)]))[0]);
    return lines.map((line) => withoutIds(line, { sku_ids, order_id })).sort();
  } finally {
    session.destroy();
  }
}

/** A text in which the ids of a case are replaced by their positions. */
export function withoutIds(text: string, { sku_ids, order_id }: RowIds): string {
  return [...sku_ids, order_id].reduce((rest, id, place) => rest.replaceAll(id, `<${place}>`), text);
}

function textOf(row: RowDataPacket): string {
  const columns = Object.entries(row).filter(([column]) => !IGNORED.includes(column));
  return columns
    .map(([column, value]) => `${column} ${Buffer.isBuffer(value) ? value.toString('utf8') : String(value)}`)
    .join(', ');
}
