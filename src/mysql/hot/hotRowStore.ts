import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { ExistingId, FoundRows, HotRows, IdPage, SaleState, UnfinishedSkus } from '../../core/ports/hotRows.ts';
import type { DeadlineMs, FlowKey, FoundHold, ShardIndex, Transfer } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { ReportUnreadable } from '../../core/unreadableRow.ts';
import type { Connection } from '../connection/connection.ts';
import { hadNoEffect } from '../connection/failures.ts';
import type { Shard } from '../shard.ts';
import { isText, quotedBytes, textOf } from '../sql/text/bytes.ts';
import { readHolds } from '../sql/flows/holds.ts';
import {
  closeRows,
  countRows,
  findUnfinished,
  openRows,
  prepareRows,
  readHotRows,
  readSale,
  clearTransfers,
} from '../sql/hot/hotRows.ts';
import { findStandingIds, insertPointers, readIds } from '../sql/flows/pointers.ts';
import { autocommitOn } from './autocommitOn.ts';
import { errorText } from '../../core/text/errorText.ts';

/** After this time without progress on a SKU, another gateway takes the work over. */
const STALE_MS = 1_500;

/** The rows of split SKUs in MySQL; every statement is a transaction of its own. */
export class HotRowStore implements HotRows {
  readonly #shards: readonly Shard[];

  readonly #onUnreadable: ReportUnreadable;

  /** @param onUnreadable called for each row that cannot be read, and each transfer to a shard that does not exist */
  constructor(shards: readonly Shard[], onUnreadable: ReportUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  async readRows(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundRows | NotDone> {
    try {
      const found = await this.#lend(shard, deadlineMs, (connection) =>
        readHotRows(connection, shard, sku_id, deadlineMs),
      );
      for (const { transfer_id, to } of found.transfers) {
        if (to.shard < this.#shards.length) continue;
        const expected = `expected 0 to ${this.#shards.length - 1}`;
        const reason = `other_shard is ${to.shard}, ${expected}: its units cannot be received`;
        this.#onUnreadable({
          kind: 'transfer',
          shard,
          row: `SKU ${JSON.stringify(sku_id)} transfer ${transfer_id}`,
          reason,
        });
      }
      return { is: 'found', ...found };
    } catch (error) {
      if (error instanceof RowsUnavailable) return { is: 'not_done', reason: error.message };
      throw error;
    }
  }

  createRows(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) =>
      prepareRows(autocommitOn(connection, deadlineMs), sku_id, sub_rows, epoch),
    );
  }

  close(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean> {
    return this.#lend(shard, deadlineMs, async (connection) => {
      if ((await closeRows(autocommitOn(connection, deadlineMs), sku_id, sub_rows, epoch)) === sub_rows.length)
        return true;
      // Another gateway may have closed them before.
      return (await countRows(connection, sku_id, sub_rows, epoch, 'none', deadlineMs)) === sub_rows.length;
    });
  }

  open(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    sale: SaleState,
    deadlineMs: DeadlineMs,
  ): Promise<boolean> {
    return this.#lend(shard, deadlineMs, async (connection) => {
      if ((await openRows(autocommitOn(connection, deadlineMs), sku_id, sub_rows, epoch, sale)) === sub_rows.length)
        return true;
      return (await countRows(connection, sku_id, sub_rows, epoch, 'layout', deadlineMs)) === sub_rows.length;
    });
  }

  readSale(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<SaleState | null> {
    return this.#lend(owner, deadlineMs, (connection) => readSale(connection, sku_id, deadlineMs));
  }

  clearTransfers(shard: ShardIndex, transfers: readonly Transfer[], deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) =>
      clearTransfers(autocommitOn(connection, deadlineMs), transfers),
    );
  }

  async readHolds(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<readonly FoundHold[]> {
    const holds = await this.#lend(shard, deadlineMs, (connection) =>
      readHolds({ rows: (sql, values) => connection.rows(sql, values, deadlineMs) }, [sku_id]),
    );
    return holds.map((hold) => ({ ...hold, shard }));
  }

  findExisting(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly ExistingId[]> {
    return this.#lend(shard, deadlineMs, (connection) => findStandingIds(connection, shard, keys, deadlineMs));
  }

  async readIds(
    shard: ShardIndex,
    sku_id: string,
    after: string,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<IdPage> {
    const { unreadable, ...page } = await this.#lend(shard, deadlineMs, (connection) =>
      readIds(connection, sku_id, after, max, deadlineMs),
    );
    const reason = 'the order detail is not UTF-8, so no caller can have sent it';
    for (const id of unreadable)
      this.#onUnreadable({ kind: 'flow', shard, row: `SKU ${JSON.stringify(sku_id)} order detail ${id}`, reason });
    return page;
  }

  writePointers(
    shard: ShardIndex,
    sku_id: string,
    ids: readonly string[],
    movedTo: ShardIndex,
    deadlineMs: DeadlineMs,
  ): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) =>
      insertPointers(autocommitOn(connection, deadlineMs), sku_id, ids, movedTo),
    );
  }

  async findUnfinished(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<UnfinishedSkus> {
    const found = await this.#lend(shard, deadlineMs, (connection) =>
      findUnfinished(connection, max, STALE_MS, deadlineMs),
    );
    const reason = 'the id of the SKU is not UTF-8, so no caller can have sent it';
    for (const id of found)
      if (!isText(id)) this.#onUnreadable({ kind: 'sku', shard, row: `SKU ${quotedBytes(id)}`, reason });
    return { sku_ids: found.filter(isText).map(textOf) };
  }

  async #lend<T>(index: ShardIndex, deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    try {
      return await shard.pool.lend(deadlineMs, work);
    } catch (error) {
      if (hadNoEffect(error)) throw new RowsUnavailable(errorText(error));
      throw error;
    }
  }
}
