import { randomBytes } from 'node:crypto';
import type { Generation, Mark, Reached } from '../core/generations.ts';
import type {
  CartSalesPage,
  ClosedShard,
  RestoredShards,
  SalePosition,
  SoldCart,
  Splits,
  StateKey,
  StateReader,
  StateRow,
  StateTable,
  StateWriter,
  TransferTrace,
} from '../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Connection } from './connection.ts';
import type { Shard } from './shard.ts';
import { decideCart, insertCart, lockCart, overruleAborted } from './sql/carts.ts';
import { acceptAsRestored, closeShard, noteReached, readReached, setMark } from './sql/generation.ts';
import { deleteHolds, putStateRows, readStatePage } from './sql/statePages.ts';
import { findTransfers, makeYounger, pauseSkus, readCartSales, readSplits, readTransfers } from './sql/traces.ts';
import { transact } from './transaction.ts';

/** Tells a cart's coordinator from others; nobody coordinates these any more. */
const TOKEN_BYTES = 16;

/** Reads and accepts restored shards in MySQL. Whatever cannot be read is thrown: what was not read is not in order. */
export class RestoredShardStore implements RestoredShards, StateReader, StateWriter {
  readonly #shards: readonly Shard[];

  /** @param shards that do not look at generations */
  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  readReached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Reached> {
    return this.#lend(shard, deadlineMs, (connection) => readReached(connection, deadlineMs));
  }

  readTransfers(
    shard: ShardIndex,
    other: ShardIndex,
    sinceMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly TransferTrace[]> {
    return this.#lend(shard, deadlineMs, (connection) => readTransfers(connection, shard, other, sinceMs, deadlineMs));
  }

  readSplits(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Splits> {
    return this.#lend(shard, deadlineMs, (connection) => readSplits(connection, this.#shards.length, deadlineMs));
  }

  readCartSales(
    shard: ShardIndex,
    sinceMs: number,
    after: SalePosition | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage> {
    return this.#lend(shard, deadlineMs, (connection) => readCartSales(connection, sinceMs, after, max, deadlineMs));
  }

  pause(shard: ShardIndex, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => pauseSkus(connection, sku_ids, deadlineMs));
  }

  findTransfers(
    shard: ShardIndex,
    transfer_ids: readonly string[],
    direction: TransferTrace['direction'],
    deadlineMs: DeadlineMs,
  ): Promise<ReadonlySet<string>> {
    return this.#lend(shard, deadlineMs, (connection) =>
      findTransfers(connection, transfer_ids, direction, deadlineMs),
    );
  }

  readPage(
    shard: ShardIndex,
    table: StateTable,
    after: StateKey | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StateRow[]> {
    return this.#lend(shard, deadlineMs, (connection) => readStatePage(connection, table, after, max, deadlineMs));
  }

  putRows(shard: ShardIndex, table: StateTable, rows: readonly StateRow[], deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => putStateRows(connection, table, rows, deadlineMs));
  }

  dropHolds(shard: ShardIndex, keys: readonly StateKey[], deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => deleteHolds(connection, keys, deadlineMs));
  }

  recordCart(index: ShardIndex, cart: SoldCart, deadlineMs: DeadlineMs): Promise<boolean> {
    return transact(this.#shard(index).pool, deadlineMs, async (transaction) => {
      if (await insertCart(transaction, cart, { token: randomBytes(TOKEN_BYTES), state: 'open', lines: cart.lines })) {
        return { keep: true, value: await decideCart(transaction, cart, 'committed') };
      }
      // Open in the backup; that it was sold is what the caller knows.
      const stands = await lockCart(transaction, cart);
      const isSold =
        stands?.state === 'committed' ||
        (stands?.state === 'open' && (await decideCart(transaction, cart, 'committed'))) ||
        (stands?.state === 'aborted' && (await overruleAborted(transaction, cart)));
      return { keep: true, value: isSold };
    });
  }

  close(shard: ShardIndex, known: Generation, deadlineMs: DeadlineMs): Promise<ClosedShard> {
    return transact(this.#shard(shard).pool, deadlineMs, async (transaction) => ({
      keep: true,
      value: await closeShard(transaction, shard, known),
    }));
  }

  noteReached(on: ShardIndex, of: ShardIndex, reached: Generation, deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(on, deadlineMs, (connection) => noteReached(connection, of, reached, deadlineMs));
  }

  setMark(shard: ShardIndex, mark: Mark, reached: Generation, deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => setMark(connection, shard, mark, reached, deadlineMs));
  }

  async accept(shard: ShardIndex, known: Generation, deadlineMs: DeadlineMs): Promise<void> {
    await this.#lend(shard, deadlineMs, async (connection) => {
      await makeYounger(connection, deadlineMs);
      // Last: from here on it is sold from.
      await acceptAsRestored(connection, shard, known, deadlineMs);
    });
  }

  #lend<T>(index: ShardIndex, deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#shard(index).pool.lend(deadlineMs, work);
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }
}
