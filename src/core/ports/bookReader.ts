import type { SkuBalance } from '../books/books.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** Reads a shard's books. */
export interface BookReader {
  /** @throws when the shard cannot be read: books that were not read do not count as balanced. */
  readBalances(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SkuBalance[]>;
}
