import type { FoundLayout, Layouts, ReplaceOutcome } from '../../core/ports/layouts.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { ReadFailure } from '../../core/outcome.ts';
import type { Connection } from '../connection/connection.ts';
import type { ReportUnreadable } from '../../core/unreadableRow.ts';
import { CommitUnanswered, hadNoEffect, LeftTransaction } from '../connection/failures.ts';
import type { Shard } from '../shard.ts';
import {
  freeLease,
  openAsSingle,
  readLayout,
  replaceLayout,
  takeLease,
  takeOverLayout,
  touchLayout,
} from '../sql/hot/layouts.ts';
import { transact } from '../connection/transaction.ts';
import type { Transaction } from '../connection/transaction.ts';
import { autocommitOn } from './autocommitOn.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Layouts in MySQL, each on the shard that owns its SKU's slot. */
export class LayoutStore implements Layouts {
  readonly #shards: readonly Shard[];

  readonly #onUnreadable: ReportUnreadable;

  /** @param onUnreadable called for each layout that cannot be read */
  constructor(shards: readonly Shard[], onUnreadable: ReportUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  async read(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundLayout | ReadFailure> {
    try {
      const layout = await this.#lend(owner, deadlineMs, (connection) =>
        readLayout(connection, sku_id, this.#shards.length, deadlineMs),
      );
      if (layout === 'foreign') return { is: 'not_mine' };
      if (layout === null || !('unreadable' in layout)) return { is: 'found', layout };
      this.#onUnreadable({
        kind: 'layout',
        shard: owner,
        row: `SKU ${JSON.stringify(sku_id)}`,
        reason: layout.unreadable,
      });
      return { is: 'not_done', reason: `the layout of a SKU cannot be read: ${layout.unreadable}` };
    } catch (error) {
      if (hadNoEffect(error)) return { is: 'not_done', reason: errorText(error) };
      throw error;
    }
  }

  async replace(owner: ShardIndex, was: Layout, is: Layout, deadlineMs: DeadlineMs): Promise<ReplaceOutcome> {
    return orUnsure(async () =>
      (await this.#run(owner, deadlineMs, (one) => replaceLayout(one, was, is))) ? 'applied' : 'changed',
    );
  }

  async replaceBySingle(
    owner: ShardIndex,
    was: Layout,
    is: Layout,
    version: number,
    deadlineMs: DeadlineMs,
  ): Promise<ReplaceOutcome> {
    return orUnsure(async () => {
      const replaced = await transact(this.#shard(owner).pool, deadlineMs, async (transaction) => {
        const value = (await replaceLayout(transaction, was, is)) && (await openAsSingle(transaction, was, version));
        return { keep: value, value };
      });
      return replaced ? 'applied' : 'changed';
    });
  }

  claimUnfinished(owner: ShardIndex, sku_id: string, staleMs: number, deadlineMs: DeadlineMs): Promise<boolean> {
    return orFalse(() => this.#run(owner, deadlineMs, (one) => takeOverLayout(one, sku_id, staleMs)));
  }

  touch(owner: ShardIndex, layout: Layout, deadlineMs: DeadlineMs): Promise<boolean> {
    return orFalse(() => this.#run(owner, deadlineMs, (one) => touchLayout(one, layout)));
  }

  takeLease(
    owner: ShardIndex,
    sku_id: string,
    token: string,
    leaseMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean> {
    return orFalse(() => this.#run(owner, deadlineMs, (one) => takeLease(one, sku_id, token, leaseMs)));
  }

  async releaseLease(owner: ShardIndex, sku_id: string, token: string, deadlineMs: DeadlineMs): Promise<void> {
    await orFalse(() => this.#run(owner, deadlineMs, (one) => freeLease(one, sku_id, token)));
  }

  #run<T>(owner: ShardIndex, deadlineMs: DeadlineMs, work: (one: Pick<Transaction, 'run'>) => Promise<T>): Promise<T> {
    return this.#lend(owner, deadlineMs, (connection) => work(autocommitOn(connection, deadlineMs)));
  }

  #lend<T>(owner: ShardIndex, deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#shard(owner).pool.lend(deadlineMs, work);
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }
}

/**
 * A change that the server rejected or did not answer may be sent again. A caller that depends on it reads the layout.
 *
 * @throws every error that is not a failure of the shard: a fault of this program must not look like one
 */
async function orUnsure(work: () => Promise<ReplaceOutcome>): Promise<ReplaceOutcome> {
  try {
    return await work();
  } catch (error) {
    if (isOfShard(error)) return 'unsure';
    throw error;
  }
}

/** @throws like `orUnsure` */
async function orFalse<T>(work: () => Promise<T>): Promise<T | false> {
  try {
    return await work();
  } catch (error) {
    if (isOfShard(error)) return false;
    throw error;
  }
}

function isOfShard(error: unknown): boolean {
  return hadNoEffect(error) || error instanceof CommitUnanswered || error instanceof LeftTransaction;
}
