import { stockRowOfKeyText, stockRowKeyText } from '../../../core/types.ts';
import type { DeadlineMs, FlowKey } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';

const rowsOf = (keys: readonly unknown[]): string =>
  `SELECT sku_id, sub_row FROM stock FORCE INDEX (PRIMARY)
    WHERE ${keys.map(() => '(sku_id = ? AND sub_row = ?)').join(' OR ')}`;
const flowsOf = (keys: readonly FlowKey[]): string =>
  `SELECT 1 FROM flow FORCE INDEX (PRIMARY) WHERE ${anyOf(keys)} FOR UPDATE NOWAIT`;

/** Stock rows that another transaction has locked now. @param stockRows as `stockRowKeyText`; at least one */
export async function findLocked(
  connection: Connection,
  stockRows: readonly string[],
  deadlineMs: DeadlineMs,
): Promise<string[]> {
  const values = stockRows.map(stockRowOfKeyText).flatMap(({ sku_id, sub_row }) => [bytesOf(sku_id), sub_row]);
  const read = async (lock: string): Promise<string[]> =>
    (await connection.rows<{ sku_id: Buffer; sub_row: number }>(`${rowsOf(stockRows)}${lock}`, values, deadlineMs)).map(
      ({ sku_id, sub_row }) => stockRowKeyText(textOf(sku_id), sub_row),
    );
  // A transaction of its own: its locks end with the statement.
  const free = new Set(await read(' FOR UPDATE SKIP LOCKED'));
  return (await read('')).filter((stockRow) => !free.has(stockRow));
}

/** Whether another transaction has locked one of the flows or has written it and not ended. @param keys at least one */
export async function isAnyLocked(
  connection: Connection,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<boolean> {
  try {
    await connection.rows(flowsOf(keys), keyValues(keys), deadlineMs);
    return false;
  } catch (error) {
    const isLocked =
      error instanceof ServerError &&
      (error.number === SERVER_ERROR.lockedNow || error.number === SERVER_ERROR.lockWaitTimeout);
    if (isLocked) return true;
    throw error;
  }
}
