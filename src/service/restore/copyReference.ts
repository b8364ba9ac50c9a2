import type { StateWriter } from '../../core/ports/stateWriter.ts';
import type { StateKey, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { differencesOf, isAhead } from './differences.ts';
import type { States } from './differences.ts';

const ROWS_AT_A_TIME = 500;
/** The row of a cart has all its lines, and the smallest packet limit is 16 MB. */
const CARTS_AT_A_TIME = 20;

export interface WritableStates extends States {
  readonly present: States['present'] & StateWriter;
}

/**
 * Copies the reference copy over a restored shard, row by row; only rows that differ are written. No gateway may sell
 * from the shard meanwhile. After an interruption, the copy must be repeated from the beginning.
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
  let holds: StateKey[] = [];
  let table: StateTable | null = null;
  const flush = async (): Promise<void> => {
    if (table !== null && rows.length > 0) await states.present.putRows(shard, table, rows, deadlineMs);
    if (holds.length > 0) await states.present.deleteHolds(shard, holds, deadlineMs);
    [rows, holds] = [[], []];
  };
  for await (const difference of differencesOf(states, shard, deadlineMs, onRow)) {
    if (
      difference.table !== table ||
      rows.length + holds.length >= (table === 'cart' ? CARTS_AT_A_TIME : ROWS_AT_A_TIME)
    )
      await flush();
    table = difference.table;
    if (isAhead(difference)) continue;
    const { reference, present } = difference;
    const sku_id = (reference ?? present)?.cells['sku_id'];
    if (Buffer.isBuffer(sku_id) && ahead.has(sku_id.toString('utf8'))) continue;
    if (reference !== null) rows.push(reference);
    else if (present !== null && table === 'cart_hold') holds.push(present.key);
  }
  await flush();
}
