import { sumBooks } from '../../src/core/books/books.ts';
import type { Books, SkuBalance } from '../../src/core/books/books.ts';
import { openReportShards } from '../../src/mysql/books/reportShards.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { readAllBalances } from '../../src/service/reconcile/readAllBalances.ts';
import type { Stack } from './stack.ts';

const READ_MS = 30_000;

type Shards = Pick<Stack, 'shards' | 'initialShards'>;

/** Reads the balance of every SKU of a stack directly from the databases, one list per shard. */
export async function readBalancesOf({ shards, initialShards }: Shards): Promise<(readonly SkuBalance[])[]> {
  const books = openReportShards({
    shards,
    initialShards,
    statementMs: READ_MS,
    relaxedAllowed: true,
    readOnlyAllowed: true,
  });
  try {
    return await readAllBalances(new ShardReader(books.shards), shards.length, performance.now() + READ_MS);
  } finally {
    books.close();
  }
}

/** The books of each shard of a stack. */
export async function readBooks(stack: Shards): Promise<Books[]> {
  return (await readBalancesOf(stack)).map(sumBooks);
}
