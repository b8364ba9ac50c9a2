import { JOURNALS, rowsMaxOf } from '../../../core/books/journal.ts';
import type { JournalEntry, JournalPosition, JournalRead, JournalRow } from '../../../core/books/journal.ts';
import type { DeadlineMs, Hold } from '../../../core/types.ts';
import { slotOf } from '../../../core/slots.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { transactionOf } from '../carts/transactionColumns.ts';
import { shardsIn } from '../hot/layoutLists.ts';
import { POINTERS_TIME } from './pointers.ts';

const iso = (column: string): string => `DATE_FORMAT(${column}, '%Y-%m-%dT%H:%i:%s.%fZ')`;

const SLOT =
  "SELECT 'slot' AS source, NULL AS time, NULL AS id_1, NULL AS id_2, NULL AS order_id, " +
  'CAST(slot AS SIGNED) AS units, 0 AS counts, NULL AS reason FROM slot WHERE slot = ?';
const OPENING = `SELECT 'opening', ${iso('created_at')}, NULL, NULL, NULL, CAST(opening_amount AS SIGNED), 1, NULL
   FROM stock WHERE sku_id = ? AND sub_row = 0`;
const SHARDS = `SELECT 'shards', NULL, CAST(shards AS BINARY), NULL, NULL, 0, 0, NULL FROM hot_sku WHERE sku_id = ?`;
/** With the transaction in `id_2`, and its coordinator in `counts`. */
const HOLDS = `
  SELECT 'hold', NULL, order_detail_id, transaction_id, order_id,
         CAST(attempt AS SIGNED), CAST(coordinator AS SIGNED), NULL
    FROM cart_hold WHERE sku_id = ? AND order_detail_id > ? ORDER BY order_detail_id LIMIT ?`;

/** The forced index has the time, then the primary key: a page is one range of it, however long the journal is. */
const TABLES: Readonly<
  Record<JournalPosition['journal'], { readonly select: string; readonly ids: readonly string[] }>
> = {
  return: {
    select: `SELECT 'return', ${iso('created_at')}, order_detail_id, return_id,
              (SELECT flow.order_id FROM flow
                WHERE flow.sku_id = flow_return.sku_id AND flow.order_detail_id = flow_return.order_detail_id),
              CAST(quantity AS SIGNED), 1, NULL
         FROM flow_return FORCE INDEX (by_time)`,
    ids: ['order_detail_id', 'return_id'],
  },
  flow: {
    select: `SELECT 'flow', ${iso('created_at')}, order_detail_id, NULL, order_id,
              CAST(quantity AS SIGNED), status IN ('deducted', 'cancelled') AND quantity > 0, NULL
         FROM flow FORCE INDEX (by_time)`,
    ids: ['order_detail_id'],
  },
  adjustment: {
    select: `SELECT 'adjustment', ${iso('created_at')}, adjustment_id, NULL, NULL, delta, 1, reason
         FROM adjustment FORCE INDEX (by_time)`,
    ids: ['adjustment_id'],
  },
};

interface Row {
  readonly source: 'slot' | 'opening' | 'shards' | 'hold' | JournalPosition['journal'];
  readonly time: string;
  readonly id_1: Buffer;
  readonly id_2: Buffer | null;
  readonly order_id: Buffer | null;
  readonly units: number | string;
  readonly counts: number | null;
  readonly reason: string | null;
}

/** A stretch of a journal that is to be read. */
export interface JournalQuery {
  readonly sku_id: string;
  /** The last position that was read already; null: from the newest on. */
  readonly after: JournalPosition | null;
  /** Entries that are needed, which sets how many rows are read of each table. */
  readonly limit: number;
  /** The last order detail whose hold was read already; empty: from the first on. */
  readonly holdsAfter: string;
  /** The most holds of the SKU that are read with it. */
  readonly holdsMax: number;
  /** Sent to a shard that need not own the slot, because it has or had further rows of the SKU. */
  readonly isAnyShard: boolean;
}

/**
 * Reads a stretch of a SKU's journal, with the proof of ownership, in one statement and hence one snapshot.
 *
 * @returns null when this shard does not own the SKU's slot; 'unreadable' when its layout does not name the shards of
 *   its rows
 */
export async function readJournal(
  connection: Connection,
  query: JournalQuery,
  deadlineMs: DeadlineMs,
): Promise<JournalRead | null | 'unreadable'> {
  const { sql, values } = journalStatement(query);
  const rows = await connection.rows<Row>(sql, values, deadlineMs);
  if (!query.isAnyShard && !rows.some(({ source }) => source === 'slot')) return null;
  const opening = rows.find(({ source }) => source === 'opening');
  const named = rows.find(({ source }) => source === 'shards');
  const shards = named === undefined ? [] : shardsIn(textOf(named.id_1));
  if (shards === null) return 'unreadable';
  return {
    journals: JOURNALS.map((journal) =>
      rows.filter(({ source }) => source === journal).map((row) => rowOf(journal, row)),
    ),
    opening:
      opening === undefined
        ? null
        : { kind: 'opening', quantity: Number(opening.units), effect: Number(opening.units), created_at: opening.time },
    shards,
    holds: rows.filter(({ source }) => source === 'hold').map((row) => holdOf(query.sku_id, row)),
  };
}

/** The statement itself, for a test to look at its plan. */
export function journalStatement({ sku_id, after, limit, holdsAfter, holdsMax }: Omit<JournalQuery, 'isAnyShard'>): {
  sql: string;
  values: SqlValue[];
} {
  const parts = JOURNALS.map((journal) => stretchOf(journal, { sku_id, after, limit }));
  const sku = bytesOf(sku_id);
  return {
    sql: [SLOT, OPENING, SHARDS, HOLDS, ...parts.map(({ sql }) => sql)]
      .map((part) => `(${part})`)
      .join('\nUNION ALL\n'),
    values: [slotOf(sku_id), sku, sku, sku, bytesOf(holdsAfter), holdsMax, ...parts.flatMap(({ values }) => values)],
  };
}

/** The statement for one table. Entries of the same microsecond are ordered by table. */
function stretchOf(
  journal: JournalPosition['journal'],
  { sku_id, after, limit }: Pick<JournalQuery, 'sku_id' | 'after' | 'limit'>,
): { sql: string; values: SqlValue[] } {
  const { select, ids } = TABLES[journal];
  const order = ['created_at', ...ids].map((column) => `${column} DESC`).join(', ');
  const below = after === null ? { sql: '', values: [] } : conditionBelow(journal, ids, after);
  // A bound of the index. If the status excluded them, a million pointers would be read one by one at a journal's end.
  const above = journal === 'flow' ? ` AND created_at > '${POINTERS_TIME}'` : '';
  return {
    sql: `${select} WHERE sku_id = ?${above}${below.sql} ORDER BY ${order} LIMIT ?`,
    values: [bytesOf(sku_id), ...below.values, rowsMaxOf(journal, limit)],
  };
}

function conditionBelow(
  journal: JournalPosition['journal'],
  ids: readonly string[],
  after: JournalPosition,
): { sql: string; values: SqlValue[] } {
  const time = Buffer.from(after.created_at.replace('T', ' ').replace('Z', ''), 'latin1');
  const moment = 'CAST(CAST(? AS CHAR) AS DATETIME(6))';
  const place = JOURNALS.indexOf(journal) - JOURNALS.indexOf(after.journal);
  if (place < 0) return { sql: ` AND created_at < ${moment}`, values: [time] };
  if (place > 0) return { sql: ` AND created_at <= ${moment}`, values: [time] };
  const [first, second] = after.ids.map(bytesOf) as [Buffer, Buffer];
  const [one, two] = ids as readonly [string, string?];
  const beyond = two === undefined ? `${one} < ?` : `${one} < ? OR (${one} = ? AND ${two} < ?)`;
  return {
    // The first condition bounds the range, the second skips rows of the same microsecond that were read already.
    sql: ` AND created_at <= ${moment} AND (created_at < ${moment} OR ${beyond})`,
    values: [time, time, ...(two === undefined ? [first] : [first, first, second])],
  };
}

function rowOf(journal: JournalPosition['journal'], row: Row): JournalRow {
  const ids: [string, string] = [textOf(row.id_1), row.id_2 === null ? '' : textOf(row.id_2)];
  return {
    position: { created_at: row.time, journal, ids },
    entry: row.counts === 1 ? entryOf(journal, row, ids) : null,
  };
}

function entryOf(
  journal: JournalPosition['journal'],
  row: Row,
  [id, return_id]: readonly [string, string],
): JournalEntry {
  const units = Number(row.units);
  const order = row.order_id === null ? {} : { order_id: textOf(row.order_id) };
  const common = { quantity: Math.abs(units), effect: journal === 'flow' ? -units : units, created_at: row.time };
  switch (journal) {
    case 'flow':
      return { kind: 'deduction', ...order, order_detail_id: id, ...common };
    case 'return':
      // A cancellation has no return id.
      return return_id === ''
        ? { kind: 'cancellation', ...order, order_detail_id: id, ...common }
        : { kind: 'return', return_id, ...order, order_detail_id: id, ...common };
    case 'adjustment':
      return { kind: 'adjustment', adjustment_id: id, reason: row.reason, ...common };
  }
}

function holdOf(sku_id: string, row: Row): Hold {
  return {
    sku_id,
    order_detail_id: textOf(row.id_1),
    order_id: row.order_id === null ? '' : textOf(row.order_id),
    attempt: Number(row.units),
    ...transactionOf({ transaction_id: row.id_2, coordinator: row.counts }),
  };
}
