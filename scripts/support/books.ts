import { closeBooks } from '../../src/core/books.ts';
import type { Books, SkuBalance } from '../../src/core/books.ts';
import { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { readAllBalances } from '../../src/service/readAllBalances.ts';
import type { Stack } from './stack.ts';

const READ_MS = 30_000;

type Shards = Pick<Stack, 'shards' | 'initialShards'>;

/** Reads the balance of every SKU of a stack straight from the databases, one list per shard. */
export async function readBalances(stack: Shards): Promise<(readonly SkuBalance[])[]> {
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
    return await readAllBalances(new ShardReader(shards), shards.length, performance.now() + READ_MS);
  } finally {
    for (const { pool } of shards) pool.close();
  }
}

/** The books of each shard of a stack. */
export async function readBooks(stack: Shards): Promise<Books[]> {
  return (await readBalances(stack)).map(closeBooks);
}
