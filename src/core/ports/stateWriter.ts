import type { StateKey, StateRow, StateTable } from '../restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** Changes the rows of a shard to those of another state. */
export interface StateWriter {
  /** Writes rows. A row replaces the one that has the same key. */
  putRows(shard: ShardIndex, table: StateTable, rows: readonly StateRow[], deadlineMs: DeadlineMs): Promise<void>;
  /** Deletes undecided rows. An aborted record is taken off the list of records to be deleted too. */
  deleteRows(shard: ShardIndex, table: StateTable, keys: readonly StateKey[], deadlineMs: DeadlineMs): Promise<void>;
}
