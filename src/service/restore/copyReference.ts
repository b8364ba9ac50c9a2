import type { StateWriter } from '../../core/ports/stateWriter.ts';
import type { StateKey, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { differencesOf, isAhead } from './differences.ts';
import type { States } from './differences.ts';

const ROWS_AT_A_TIME = 500;
/** The record of an order has all its lines, and the smallest packet limit is 16 MB. */
const RECORDS_AT_A_TIME = 20;

export interface WritableStates extends States {
  readonly present: States['present'] & StateWriter;
}

/**
 * Copies the reference copy over a restored shard, row by row; only rows that differ are written. Undecided rows that
 * the reference copy lacks are deleted, because their orders ended since the backup. No gateway may sell from the shard
 * meanwhile. After an interruption, the copy must be repeated from the beginning.
 *
 * @param ahead SKUs that are not changed, from `lostToPast`
 * @param onRow called for every row of the reference copy
 */
export async function copyReference(
  states: WritableStates,
  shard: ShardIndex,
  ahead: ReadonlySet<string>,
  deadlineMs: DeadlineMs,
  onRow: () => void = () => undefined,
): Promise<void> {
  let rows: StateRow[] = [];
  let undecided: StateKey[] = [];
  let table: StateTable | null = null;
  const flush = async (): Promise<void> => {
    if (table !== null && rows.length > 0) await states.present.putRows(shard, table, rows, deadlineMs);
    if (table !== null && undecided.length > 0) await states.present.deleteRows(shard, table, undecided, deadlineMs);
    [rows, undecided] = [[], []];
  };
  for await (const difference of differencesOf(states, shard, deadlineMs, onRow)) {
    const isFull = rows.length + undecided.length >= (hasLines(table) ? RECORDS_AT_A_TIME : ROWS_AT_A_TIME);
    if (difference.table !== table || isFull) await flush();
    table = difference.table;
    if (isAhead(difference)) continue;
    const { reference, present } = difference;
    const sku_id = (reference ?? present)?.cells['sku_id'];
    if (Buffer.isBuffer(sku_id) && ahead.has(sku_id.toString('utf8'))) continue;
    if (reference !== null) rows.push(reference);
    // All other rows that the reference copy lacks are ahead of it.
    else if (present !== null) undecided.push(present.key);
  }
  await flush();
}

function hasLines(table: StateTable | null): boolean {
  return table === 'cart' || table === 'order_record';
}
