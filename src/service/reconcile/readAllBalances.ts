import type { SkuBalance } from '../../core/books/books.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { BookReader } from '../../core/ports/bookReader.ts';

/**
 * Reads the balances of every shard, each in one snapshot.
 *
 * @returns one list per shard, in their order
 * @throws when a shard cannot be read: unread books cannot be balanced
 */
export function readAllBalances(
  reader: BookReader,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<(readonly SkuBalance[])[]> {
  return Promise.all(Array.from({ length: shardCount }, (_, shard) => reader.readBalances(shard, deadlineMs)));
}
