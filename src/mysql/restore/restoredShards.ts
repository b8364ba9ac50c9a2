import { randomBytes } from 'node:crypto';
import type { Watermark, Mark, StoredWatermarks } from '../../core/restore/watermarks.ts';
import type { CartSalesPage, SalePosition } from '../../core/books/cartSales.ts';
import type { ClosedShard, RestoredShards, TransferTrace } from '../../core/ports/restoredShards.ts';
import type { StateReader } from '../../core/ports/stateReader.ts';
import type { StateWriter } from '../../core/ports/stateWriter.ts';
import type { SoldCart } from '../../core/restore/missingRecord.ts';
import type { SplitSkus } from '../../core/restore/splitSkus.ts';
import type { StateKey, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import type { Shard } from '../shard.ts';
import { decideCart, insertCart, lockCart, commitAborted } from '../sql/carts/carts.ts';
import { commitRecord } from '../sql/carts/orderRecords.ts';
import { readCartSales } from '../sql/carts/readCartSales.ts';
import { acceptAsRestored, closeShard, storeWatermark, readWatermarks, setMark } from '../sql/restore/watermarks.ts';
import { deleteStateRows, putStateRows, readStatePage } from '../sql/restore/statePages.ts';
import { findTransfers, raiseVersions, pauseSkus, readSplits, readTransfers } from '../sql/restore/restoreTraces.ts';
import { transact } from '../connection/transaction.ts';

/** Length of a coordinator's token. The records written here have no coordinator any more. */
const TOKEN_BYTES = 16;

/**
 * Reads and accepts restored shards in MySQL. Every failed read throws: rows that were not read must not count as
 * right.
 */
export class RestoredShardStore implements RestoredShards, StateReader, StateWriter {
  readonly #shards: readonly Shard[];

  /** @param shards opened without the check of watermarks */
  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  readWatermarks(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<StoredWatermarks> {
    return this.#lend(shard, deadlineMs, (connection) => readWatermarks(connection, deadlineMs));
  }

  readTransfers(
    shard: ShardIndex,
    other: ShardIndex,
    sinceMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly TransferTrace[]> {
    return this.#lend(shard, deadlineMs, (connection) => readTransfers(connection, shard, other, sinceMs, deadlineMs));
  }

  readSplits(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<SplitSkus> {
    return this.#lend(shard, deadlineMs, (connection) => readSplits(connection, this.#shards.length, deadlineMs));
  }

  readCartSales(
    shard: ShardIndex,
    sinceMs: number,
    after: SalePosition | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage> {
    return this.#lend(shard, deadlineMs, (connection) =>
      readCartSales(connection, { sinceMs, after, max }, deadlineMs),
    );
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

  deleteRows(shard: ShardIndex, table: StateTable, keys: readonly StateKey[], deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => deleteStateRows(connection, table, keys, deadlineMs));
  }

  recordCart(index: ShardIndex, cart: SoldCart, deadlineMs: DeadlineMs): Promise<boolean> {
    return transact(this.#shard(index).pool, deadlineMs, async (transaction) => {
      if (cart.transaction !== undefined) {
        await commitRecord(transaction, cart.transaction, cart);
        return { keep: true, value: true };
      }
      if (await insertCart(transaction, cart, { token: randomBytes(TOKEN_BYTES), state: 'open', lines: cart.lines })) {
        return { keep: true, value: await decideCart(transaction, cart, 'committed') };
      }
      // The record was open in the backup. The caller has found that the cart was sold.
      const record = await lockCart(transaction, cart);
      const isSold =
        record?.state === 'committed' ||
        (record?.state === 'open' && (await decideCart(transaction, cart, 'committed'))) ||
        (record?.state === 'aborted' && (await commitAborted(transaction, cart)));
      return { keep: true, value: isSold };
    });
  }

  close(shard: ShardIndex, known: Watermark, deadlineMs: DeadlineMs): Promise<ClosedShard> {
    return transact(this.#shard(shard).pool, deadlineMs, async (transaction) => ({
      keep: true,
      value: await closeShard(transaction, shard, known),
    }));
  }

  storeWatermark(on: ShardIndex, of: ShardIndex, reached: Watermark, deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(on, deadlineMs, (connection) => storeWatermark(connection, of, reached, deadlineMs));
  }

  setMark(shard: ShardIndex, mark: Mark, reached: Watermark, deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => setMark(connection, shard, mark, reached, deadlineMs));
  }

  async accept(shard: ShardIndex, known: Watermark, deadlineMs: DeadlineMs): Promise<void> {
    await this.#lend(shard, deadlineMs, async (connection) => {
      await raiseVersions(connection, deadlineMs);
      // Last, because gateways sell from the shard from here on.
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
