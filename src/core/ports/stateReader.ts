import type { StateKey, StateRow, StateTable } from '../restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** Reads one state of a shard: the restored state, or the reference copy. */
export interface StateReader {
  /**
   * Reads rows of a table in the order of their keys.
   *
   * @param after the key of the last row of the previous page; null: start with the first row
   */
  readPage(
    shard: ShardIndex,
    table: StateTable,
    after: StateKey | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StateRow[]>;
}
