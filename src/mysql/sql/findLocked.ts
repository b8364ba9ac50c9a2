import type { DeadlineMs, FlowKey } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { SERVER_ERROR, ServerError } from '../failures.ts';
import { bytesOf, textOf } from './bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';

const SKUS = 'SELECT sku_id FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?) AND sub_row = 0';
const flowsOf = (keys: readonly FlowKey[]): string => `SELECT 1 FROM flow FORCE INDEX (PRIMARY) WHERE ${anyOf(keys)} FOR UPDATE NOWAIT`;

/** Those of some SKUs whose stock rows somebody has locked at this moment. @param sku_ids at least one */
export async function findLocked(connection: Connection, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<string[]> {
  const read = async (sql: string): Promise<string[]> =>
    (await connection.rows<{ sku_id: Buffer }>(sql, [sku_ids.map(bytesOf)], deadlineMs)).map(({ sku_id }) => textOf(sku_id));
  // A transaction of its own: its locks end with the statement.
  const free = new Set(await read(`${SKUS} FOR UPDATE SKIP LOCKED`));
  return (await read(SKUS)).filter((sku_id) => !free.has(sku_id));
}

/** Whether somebody has one of some flows locked at this moment, or writes it and has not decided. @param keys at least one */
export async function isAnyLocked(connection: Connection, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<boolean> {
  try {
    await connection.rows(flowsOf(keys), keyValues(keys), deadlineMs);
    return false;
  } catch (error) {
    const isLocked = error instanceof ServerError && (error.number === SERVER_ERROR.lockedNow || error.number === SERVER_ERROR.lockWaitTimeout);
    if (isLocked) return true;
    throw error;
  }
}
