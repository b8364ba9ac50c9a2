import { closeBooks } from '../core/books.ts';
import type { Books } from '../core/books.ts';
import type { DeadlineMs } from '../core/nouns.ts';
import type { BookReader } from '../core/ports.ts';

/**
 * Adds up the books of every shard, each in one snapshot.
 *
 * @returns one entry per shard, in their order
 * @throws when a shard cannot be read: books that were not read do not balance
 */
export function checkBooks(reader: BookReader, shardCount: number, deadlineMs: DeadlineMs): Promise<Books[]> {
  return Promise.all(
    Array.from({ length: shardCount }, async (_, shard) => closeBooks(await reader.readBalances(shard, deadlineMs))),
  );
}
