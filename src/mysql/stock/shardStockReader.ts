import { StockReadFailed } from '../../core/ports/stockRowsReader.ts';
import type { StockRowsRead, StockRowsReader } from '../../core/ports/stockRowsReader.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import { hadNoEffect } from '../connection/failures.ts';
import type { Shard } from '../shard.ts';
import { readStockRows, readAllIds } from '../sql/readings/readStockRows.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Reads stock rows on the primaries. */
export class ShardStockReader implements StockRowsReader {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  isReady(shard: ShardIndex): boolean {
    return this.#shards[shard]?.precheck.isReady === true;
  }

  readRows(
    shard: ShardIndex,
    sku_ids: readonly string[],
    isForSale: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StockRowsRead[]> {
    // Called once a connection is open: before the first one was checked, the server's product is not known.
    const lockOf = (): 'mariadb' | 'mysql' =>
      /mariadb/i.test(this.#shards[shard]?.state().server_version ?? '') ? 'mariadb' : 'mysql';
    return this.#lend(shard, deadlineMs, (connection) =>
      readStockRows(connection, sku_ids, isForSale ? lockOf() : null, deadlineMs),
    );
  }

  readIds(
    shard: ShardIndex,
    sku_id: string,
    after: string,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<{ ids: readonly string[]; next: string | null }> {
    return this.#lend(shard, deadlineMs, (connection) => readAllIds(connection, sku_id, after, max, deadlineMs));
  }

  async #lend<T>(index: ShardIndex, deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    try {
      return await shard.pool.lend(deadlineMs, work);
    } catch (error) {
      if (hadNoEffect(error)) throw new StockReadFailed(errorText(error));
      throw error;
    }
  }
}
