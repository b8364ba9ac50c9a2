import type { JournalPosition, JournalRead } from '../books/journal.ts';
import type { ReadFailure } from '../outcome.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** The part of a SKU's journal that one shard has. */
export interface FoundJournal {
  readonly is: 'found';
  readonly read: JournalRead;
}

/** Reads journals from the shard's primary. */
export interface JournalReader {
  /**
   * Reads some rows of one SKU's journal, newest first, in one snapshot.
   *
   * @param query `after` and `limit`: the position and the number of entries (`rowsMaxOf`); `holdsAfter` and
   *   `holdsMax`: the same for holds, by their order detail; `isAnyShard`: the shard need not own the slot
   */
  readJournal(
    shard: ShardIndex,
    query: {
      readonly sku_id: string;
      readonly after: JournalPosition | null;
      readonly limit: number;
      readonly holdsAfter: string;
      readonly holdsMax: number;
      readonly isAnyShard: boolean;
    },
    deadlineMs: DeadlineMs,
  ): Promise<FoundJournal | ReadFailure>;
}
