import type { DeadlineMs } from '../core/nouns.ts';
import type { NotDone, NotMine, Unknown } from '../core/outcome.ts';
import { CommitUnanswered, hadNoEffect, LeftTransaction, reasonOf } from './failures.ts';
import type { ConnectionPool } from './pool.ts';
import { untilAnswered, withRetries } from './retries.ts';
import type { Shard } from './shard.ts';
import { transact } from './transaction.ts';
import type { Ending, Transaction } from './transaction.ts';

/** Something to be done in one transaction, and the way to find out later whether it was. */
export interface Change<Outcome> {
  /** Does it. May run several times, each time in a fresh transaction of which none before had an effect. */
  attempt(transaction: Transaction): Promise<Ending<Outcome>>;
  /**
   * Reads, under locks that wait for whoever is undecided, what became of the last attempt.
   *
   * @returns its outcome when it stands, null when it certainly had no effect
   */
  recall(transaction: Transaction): Promise<Outcome | null>;
}

/**
 * Carries a change to a definite outcome where there is time for it.
 *
 * "Not found" by `recall` is proof here because COMMIT is sent only after the server acknowledged the insert of the
 * key: until that transaction is decided, its row is locked and the read waits.
 */
export async function settle<Outcome>(
  { pool, retryBudget }: Pick<Shard, 'pool' | 'retryBudget'>,
  deadlineMs: DeadlineMs,
  change: Change<Outcome>,
): Promise<Outcome | NotDone | NotMine | Unknown> {
  try {
    return await withRetries(deadlineMs, retryBudget, () =>
      transact(pool, deadlineMs, (transaction) => change.attempt(transaction)),
    );
  } catch (error) {
    if (hadNoEffect(error)) return { is: 'not_done', reason: reasonOf(error) };
    if (error instanceof LeftTransaction) return { is: 'unknown', reason: error.message };
    if (!(error instanceof CommitUnanswered)) throw error;
    return recallOutcome(pool, deadlineMs, change, error);
  }
}

async function recallOutcome<Outcome>(
  pool: ConnectionPool,
  deadlineMs: DeadlineMs,
  change: Change<Outcome>,
  doubt: Error,
): Promise<Outcome | NotDone | Unknown> {
  try {
    const outcome = await untilAnswered(deadlineMs, () =>
      transact(
        pool,
        deadlineMs,
        async (transaction) => ({ keep: false, value: await change.recall(transaction) }),
        deadlineMs,
      ),
    );
    return outcome ?? { is: 'not_done', reason: `${doubt.message}; it was undone` };
  } catch (error) {
    return { is: 'unknown', reason: `${doubt.message}; then ${reasonOf(error)}` };
  }
}
