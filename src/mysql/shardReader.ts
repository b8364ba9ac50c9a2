import type { SkuBalance } from '../core/books/books.ts';
import { flowKeyText } from '../core/types.ts';
import type { DeadlineMs, ShardIndex } from '../core/types.ts';
import type { KeyWithRow } from '../core/operation.ts';
import type { FoundFlows, FoundStock, Misrouted, NotDone, ReadFailure } from '../core/outcome.ts';
import type { ReportUnreadable } from '../core/unreadableRow.ts';
import type { BookReader } from '../core/ports/bookReader.ts';
import type { FoundJournal, JournalReader } from '../core/ports/journalReader.ts';
import type { ShardOverview, ShardState } from '../core/ports/shardOverview.ts';
import type { SlotClaim, SlotSource } from '../core/ports/slotSource.ts';
import type { StockReader } from '../core/ports/stockReader.ts';
import type { Connection } from './connection/connection.ts';
import { hadNoEffect } from './connection/failures.ts';
import { withRetries } from './connection/retries.ts';
import type { RetryBudget } from './connection/retryBudget.ts';
import type { Shard } from './shard.ts';
import { findMoved } from './sql/flows/findMoved.ts';
import { lockFlowsAndPointers } from './sql/flows/lockFlows.ts';
import { ownSlots } from './sql/session/ownSlots.ts';
import { readBalances } from './sql/books/readBalances.ts';
import { readJournal } from './sql/flows/readJournal.ts';
import type { JournalQuery } from './sql/flows/readJournal.ts';
import { readSlots } from './sql/session/readSlots.ts';
import { readStock } from './sql/stock/readStock.ts';
import { transact } from './connection/transaction.ts';
import { errorText } from '../core/text/errorText.ts';

/** All reads of gateways from the shards. Each goes to the primary and has the caller's deadline. */
export class ShardReader implements StockReader, JournalReader, SlotSource, BookReader, ShardOverview {
  readonly #shards: readonly Shard[];
  readonly #onUnreadable: ReportUnreadable;

  /** @param onUnreadable called for each layout whose list of shards cannot be read */
  constructor(shards: readonly Shard[], onUnreadable: ReportUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  shards(): readonly ShardState[] {
    return this.#shards.map((shard) => shard.state());
  }

  isDurable(shard: ShardIndex): boolean {
    return this.#shard(shard).durable === true;
  }

  findFlows(
    shard: ShardIndex,
    keys: readonly KeyWithRow[],
    deadlineMs: DeadlineMs,
  ): Promise<FoundFlows | NotDone | Misrouted> {
    const { pool, retryBudget } = this.#shard(shard);
    return orNotDone(deadlineMs, retryBudget, () =>
      transact<FoundFlows | Misrouted>(pool, deadlineMs, async (transaction) => {
        const owned = keys.flatMap(({ sku_id, row }) => (row === undefined ? [sku_id] : []));
        if (owned.length > 0 && !(await ownSlots(transaction, owned)))
          return { keep: false, value: { is: 'not_mine' } };
        const existing = await lockFlowsAndPointers(transaction, keys);
        const pointers = [...existing.values()].flatMap(({ sku_id, order_detail_id, moved_to }) =>
          typeof moved_to === 'number' ? [{ sku_id, order_detail_id, shard: moved_to }] : [],
        );
        if (pointers.length > 0) return { keep: false, value: { is: 'elsewhere', flows: pointers } };
        // An id that has no flow here may have one on another shard.
        const absent = keys.filter((key) => (existing.get(flowKeyText(key))?.status ?? 'void') === 'void');
        const moved = absent.length === 0 ? [] : await findMoved(transaction, absent);
        if (moved.length > 0) return { keep: false, value: { is: 'moved', sku_ids: moved } };
        const flows = keys.map((key) => existing.get(flowKeyText(key)) ?? null);
        return { keep: false, value: { is: 'found', flows } };
      }),
    );
  }

  readStock(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure> {
    return orNotDone(deadlineMs, this.#shard(shard).retryBudget, async () => {
      const read = await this.#lend(shard, deadlineMs, (connection) => readStock(connection, sku_id, deadlineMs));
      return read === null ? ({ is: 'not_mine' } as const) : ({ is: 'found', ...read } as const);
    });
  }

  readJournal(shard: ShardIndex, query: JournalQuery, deadlineMs: DeadlineMs): Promise<FoundJournal | ReadFailure> {
    return orNotDone<FoundJournal | ReadFailure>(deadlineMs, this.#shard(shard).retryBudget, async () => {
      const read = await this.#lend(shard, deadlineMs, (connection) => readJournal(connection, query, deadlineMs));
      if (read === null) return { is: 'not_mine' } as const;
      if (read !== 'unreadable' && read.shards.every((each) => each < this.#shards.length))
        return { is: 'found', read } as const;
      const reason = `its column shards is not a JSON list of shards from 0 to ${this.#shards.length - 1}`;
      this.#onUnreadable({ kind: 'layout', shard, row: `SKU ${JSON.stringify(query.sku_id)}`, reason });
      return { is: 'not_done', reason: `the layout of a SKU cannot be read: ${reason}` } as const;
    });
  }

  async readSlots(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SlotClaim[] | null> {
    try {
      return await this.#lend(shard, deadlineMs, (connection) => readSlots(connection, deadlineMs));
    } catch (error) {
      if (hadNoEffect(error)) return null;
      throw error;
    }
  }

  readBalances(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SkuBalance[]> {
    return this.#lend(shard, deadlineMs, (connection) => readBalances(connection, deadlineMs));
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }

  /** Lends a connection for one read outside any transaction. */
  async #lend<T>(shard: ShardIndex, deadlineMs: DeadlineMs, read: (connection: Connection) => Promise<T>): Promise<T> {
    const { pool } = this.#shard(shard);
    const connection = await pool.acquire(deadlineMs);
    try {
      const answer = await read(connection);
      pool.release(connection);
      return answer;
    } catch (error) {
      pool.discard(connection);
      throw error;
    }
  }
}

/** Tries a read again where that helps, and returns `not_done` if no answer arrives. */
async function orNotDone<T>(deadlineMs: DeadlineMs, budget: RetryBudget, read: () => Promise<T>): Promise<T | NotDone> {
  try {
    return await withRetries(deadlineMs, budget, read);
  } catch (error) {
    if (hadNoEffect(error)) return { is: 'not_done', reason: errorText(error) };
    throw error;
  }
}
