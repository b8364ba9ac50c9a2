import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type {
  ReconciliationWalk,
  ReconciliationWalks,
  WalkNotStored,
  WalkStored,
  WalkTaken,
} from '../../core/ports/reconciliationWalks.ts';
import { CommitUnanswered, hadNoEffect } from '../connection/failures.ts';
import { transact } from '../connection/transaction.ts';
import type { Transaction } from '../connection/transaction.ts';
import { RECONCILIATION_LEVEL } from '../migrations/schemaLevel.ts';
import type { Shard } from '../shard.ts';
import { readWalk, releaseWalk, storeWalk, takeWalk } from '../sql/books/reconciliationWalk.ts';

/**
 * The positions of the continuous reconciliation, each in its shard. A write that is not answered counts as not done:
 * a position that is stored late or not at all repeats a step, and a right that was taken so ends by itself.
 */
export class ReconciliationWalkStore implements ReconciliationWalks {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  async take(shard: ShardIndex, token: string, deadlineMs: DeadlineMs): Promise<WalkTaken | WalkNotStored> {
    const taken = await this.#change<WalkTaken | WalkNotStored>(shard, deadlineMs, async (transaction) => {
      if (!(await takeWalk(transaction, token))) return { is: 'lost' };
      const walk = await readWalk(transaction);
      return walk === null ? null : { is: 'taken', walk };
    });
    return taken ?? { is: 'not_stored' };
  }

  async store(
    shard: ShardIndex,
    token: string,
    walk: ReconciliationWalk,
    isRoundEnd: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<WalkStored | WalkNotStored> {
    const stored = await this.#change<WalkStored | WalkNotStored>(shard, deadlineMs, async (transaction) => {
      if (!(await storeWalk(transaction, token, walk, isRoundEnd))) return { is: 'lost' };
      return { is: 'stored', lastRoundMs: (await readWalk(transaction))?.lastRoundMs ?? null };
    });
    return stored ?? { is: 'not_stored' };
  }

  async release(shard: ShardIndex, token: string, deadlineMs: DeadlineMs): Promise<void> {
    await this.#change(shard, deadlineMs, async (transaction) => {
      await releaseWalk(transaction, token);
      return true;
    });
  }

  /** @returns null when the work returned null, or may not be done */
  async #change<T>(
    index: ShardIndex,
    deadlineMs: DeadlineMs,
    work: (transaction: Transaction) => Promise<T | null>,
  ): Promise<T | null> {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    if (!shard.isServing || !shard.isAtLevel(RECONCILIATION_LEVEL)) return null;
    try {
      return await transact(shard.pool, deadlineMs, async (transaction) => {
        const value = await work(transaction);
        return { keep: value !== null, value };
      });
    } catch (error) {
      if (hadNoEffect(error) || error instanceof CommitUnanswered) return null;
      throw error;
    }
  }
}
