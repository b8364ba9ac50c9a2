import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { bytesOf, textOf } from './bytes.ts';

const SQL = 'SELECT sku_id FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?) AND sub_row = 0 FOR UPDATE SKIP LOCKED';

/** Those of some SKUs whose stock rows somebody has locked at this moment; unknown SKUs count as locked too. */
export async function findLocked(connection: Connection, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<string[]> {
  // A transaction of its own: its locks end with the statement.
  const free = new Set((await connection.rows<{ sku_id: Buffer }>(SQL, [sku_ids.map(bytesOf)], deadlineMs)).map(({ sku_id }) => textOf(sku_id)));
  return sku_ids.filter((sku_id) => !free.has(sku_id));
}
