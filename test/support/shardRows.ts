import type { RowDataPacket } from 'mysql2/promise';
import { sideSession } from './sideSession.ts';

/** Whose rows are meant. */
export interface RowIds {
  readonly sku_ids: readonly string[];
  readonly order_id: string;
}

const OF_SKUS = ['stock', 'flow', 'flow_return', 'adjustment', 'cart_hold', 'transfer'];
/** What differs each time, and what is counted up by a change that changes nothing. */
const LEFT_OUT = ['created_at', 'decided_at', 'token', 'version'];

/**
 * Every row of some SKUs and an order on a shard, read by somebody else, who waits for nobody. Ids are named by their
 * places, so that the same rows of other ids are the same text.
 */
export async function rowsOf(shard: number, { sku_ids, order_id }: RowIds): Promise<string[]> {
  const session = await sideSession(shard);
  try {
    await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    const lines: string[] = [];
    for (const table of [...OF_SKUS, 'cart']) {
      const [rows] =
        table === 'cart'
          ? await session.query<RowDataPacket[]>('SELECT * FROM cart WHERE order_id = ?', [Buffer.from(order_id)])
          : await session.query<RowDataPacket[]>('SELECT * FROM ?? WHERE sku_id IN (?)', [
              table,
              sku_ids.map((sku_id) => Buffer.from(sku_id)),
            ]);
      lines.push(...rows.map((row) => `${table}: ${textOf(row)}`));
    }
    return lines.map((line) => withoutIds(line, { sku_ids, order_id })).sort();
  } finally {
    session.destroy();
  }
}

/** A text in which the ids of a case are named by their places. */
export function withoutIds(text: string, { sku_ids, order_id }: RowIds): string {
  return [...sku_ids, order_id].reduce((rest, id, place) => rest.replaceAll(id, `<${place}>`), text);
}

function textOf(row: RowDataPacket): string {
  const columns = Object.entries(row).filter(([column]) => !LEFT_OUT.includes(column));
  return columns
    .map(([column, value]) => `${column} ${Buffer.isBuffer(value) ? value.toString('utf8') : String(value)}`)
    .join(', ');
}
