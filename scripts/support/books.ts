import type { Books } from '../../src/core/books.ts';
import { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { checkBooks } from '../../src/service/checkBooks.ts';
import type { Stack } from './stack.ts';

const READ_MS = 30_000;

/** Reads the books of all shards of a stack straight from the databases, one entry per shard. */
export async function readBooks(stack: Pick<Stack, 'shards' | 'initialShards'>): Promise<Books[]> {
  const shards = stack.shards.map(
    (shard, index) =>
      new Shard({
        ...shard,
        shard: index,
        initialShards: stack.initialShards,
        connections_max: 1,
        statementMs: READ_MS,
        relaxedAllowed: true,
        onChange: () => undefined,
      }),
  );
  try {
    return await checkBooks(new ShardReader(shards), shards.length, performance.now() + READ_MS);
  } finally {
    for (const { pool } of shards) pool.close();
  }
}
