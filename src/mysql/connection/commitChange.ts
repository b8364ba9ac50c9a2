import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone, WrongShard, OutcomeInDoubt } from '../../core/outcome.ts';
import { CommitUnanswered, hadNoEffect, LeftTransaction } from './failures.ts';
import type { ConnectionPool } from './pool.ts';
import { untilAnswered, withRetries } from './retries.ts';
import type { Shard } from '../shard.ts';
import { transact } from './transaction.ts';
import type { Ending, Transaction } from './transaction.ts';
import { errorText } from '../../core/text/errorText.ts';

/** A change in one transaction, and the read that shows later whether it was committed. */
export interface Change<Outcome> {
  /** Makes the change. It may run several times, each in a new transaction; none of the earlier ones had an effect. */
  attempt(transaction: Transaction): Promise<Ending<Outcome>>;
  /**
   * Reads whether the last attempt was committed, under locks that wait for undecided transactions.
   *
   * @returns its outcome if it was committed, null if it certainly had no effect
   */
  resolveInDoubt(transaction: Transaction): Promise<Outcome | null>;
}

/**
 * Makes a change. If its COMMIT is not answered, reads whether it was committed, while there is time.
 *
 * A null from `resolveInDoubt` is proof here because COMMIT is sent only after the server acknowledged the insert of
 * the key. Until that transaction is decided, its row is locked and the read waits.
 */
export async function commitChange<Outcome>(
  { pool, retryBudget }: Pick<Shard, 'pool' | 'retryBudget'>,
  deadlineMs: DeadlineMs,
  change: Change<Outcome>,
): Promise<Outcome | NotDone | WrongShard | OutcomeInDoubt> {
  try {
    return await withRetries(deadlineMs, retryBudget, () =>
      transact(pool, deadlineMs, (transaction) => change.attempt(transaction)),
    );
  } catch (error) {
    if (hadNoEffect(error)) return { is: 'not_done', reason: errorText(error) };
    if (error instanceof LeftTransaction) return { is: 'unknown', reason: error.message };
    if (!(error instanceof CommitUnanswered)) throw error;
    return resolveOutcome(pool, deadlineMs, change, error);
  }
}

async function resolveOutcome<Outcome>(
  pool: ConnectionPool,
  deadlineMs: DeadlineMs,
  change: Change<Outcome>,
  unanswered: Error,
): Promise<Outcome | NotDone | OutcomeInDoubt> {
  try {
    const outcome = await untilAnswered(deadlineMs, () =>
      transact(
        pool,
        deadlineMs,
        async (transaction) => ({ keep: false, value: await change.resolveInDoubt(transaction) }),
        deadlineMs,
      ),
    );
    return outcome ?? { is: 'not_done', reason: `${unanswered.message}; it was undone` };
  } catch (error) {
    return { is: 'unknown', reason: `${unanswered.message}; then ${errorText(error)}` };
  }
}
