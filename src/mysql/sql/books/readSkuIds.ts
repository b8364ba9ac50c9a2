import type { SkuIdPage } from '../../../core/ports/auditor.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { isText, quotedBytes, textOf } from '../text/bytes.ts';

/** The tables beside that of the stock whose keys begin with the SKU. */
const JOURNALS = ['flow', 'flow_return', 'adjustment', 'transfer', 'cart_hold'];

const IDS = (table: string, end: string): string =>
  `SELECT DISTINCT sku_id FROM ${table} FORCE INDEX (PRIMARY) WHERE sku_id > ?${end} ORDER BY sku_id LIMIT ?`;

/** A page of the ids of all SKUs with a stock row, in the order of their bytes. @param afterHex null: the first page */
export async function readSkuIds(
  connection: Connection,
  afterHex: string | null,
  max: number,
  deadlineMs: DeadlineMs,
): Promise<SkuIdPage> {
  return pageOf(await idsOf(connection, IDS('stock', ''), [bytesOfHex(afterHex), max], deadlineMs), max);
}

/**
 * A page of the ids of all SKUs with a row in another table, in the order of their bytes.
 *
 * @param range.lastHex the last id that is wanted; null: all
 * @param waitMs the longest wait for the answer; if absent, as for any statement
 */
export async function readJournalSkuIds(
  connection: Connection,
  { afterHex, lastHex }: { readonly afterHex: string | null; readonly lastHex: string | null },
  max: number,
  deadlineMs: DeadlineMs,
  waitMs?: number,
): Promise<SkuIdPage> {
  const end = lastHex === null ? { sql: '', values: [] } : { sql: ' AND sku_id <= ?', values: [bytesOfHex(lastHex)] };
  const sql = JOURNALS.map((table) => `(${IDS(table, end.sql)})`).join(' UNION ');
  const values = JOURNALS.flatMap((): SqlValue[] => [bytesOfHex(afterHex), ...end.values, max]);
  const page = `SELECT sku_id FROM (${sql}) AS known ORDER BY sku_id LIMIT ?`;
  return pageOf(await idsOf(connection, page, [...values, max], deadlineMs, waitMs), max);
}

async function idsOf(connection: Connection, ...query: Parameters<Connection['rows']>): Promise<Buffer[]> {
  return (await connection.rows<{ sku_id: Buffer }>(...query)).map(({ sku_id }) => sku_id);
}

function pageOf(ids: readonly Buffer[], max: number): SkuIdPage {
  const last = ids.at(-1);
  return {
    sku_ids: ids.filter(isText).map(textOf),
    unreadable: ids.filter((id) => !isText(id)).map((id) => `the id of SKU ${quotedBytes(id)} is not text`),
    next: last === undefined || ids.length < max ? null : last.toString('hex'),
  };
}

function bytesOfHex(hex: string | null): Buffer {
  return Buffer.from(hex ?? '', 'hex');
}
