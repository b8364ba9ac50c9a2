import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, FlowKey } from '../../core/nouns.ts';
import type { NotMine, OutcomeOf } from '../../core/outcome.ts';
import { reasonOf, SERVER_ERROR, ServerError } from '../failures.ts';
import { untilAnswered } from '../retries.ts';
import type { Shard } from '../shard.ts';
import { findOlder } from '../sql/findOlder.ts';
import { lookUpLocked } from '../sql/lookUp.ts';
import { transact } from '../transaction.ts';
import { recallOne } from './batch.ts';
import type { BatchUnanswered, Decisions } from './batch.ts';
import type { Errand } from './queue.ts';

const PASSED = 'SELECT SYSDATE(6) > CAST(CAST(? AS CHAR) AS DATETIME(6)) AS passed';

/**
 * Finds out what became of one shard's part of a batch whose answer did not come, and tells each. Once the shard's clock is past the batch's
 * deadline, what has not written its ids dies at the deadline, and what has makes these reads wait: found is done, not
 * found is never. One after the other where not all can be read at once: somebody may have a row locked.
 */
export async function recallBatch(shard: Shard, errands: readonly Errand[], intended: Decisions, doubt: BatchUnanswered): Promise<void> {
  const inDoubt = errands.map((errand, index) => ({ errand, intended: intended[index] ?? ({ is: 'deferred' } as const) }));
  await settleDoubts(shard, inDoubt, doubt);
}

interface InDoubt {
  readonly errand: Errand;
  readonly intended: Decision | NotMine;
}

async function settleDoubts(shard: Shard, some: readonly InDoubt[], doubt: BatchUnanswered): Promise<void> {
  const untilMs = latest(some);
  try {
    const outcomes = await untilAnswered(untilMs, () => recall(shard, some, doubt, untilMs), isLocked);
    some.forEach(({ errand }, index) => errand.resolve(outcomes[index] ?? { is: 'unknown', reason: doubt.message }));
  } catch (error) {
    if (isLocked(error) && some.length > 1) {
      const half = Math.ceil(some.length / 2);
      await Promise.all([settleDoubts(shard, some.slice(0, half), doubt), settleDoubts(shard, some.slice(half), doubt)]);
      return;
    }
    for (const { errand } of some) errand.resolve({ is: 'unknown', reason: `${doubt.message}; then ${reasonOf(error)}` });
  }
}

function recall(shard: Shard, some: readonly InDoubt[], { begun, deadline }: BatchUnanswered, untilMs: DeadlineMs): Promise<OutcomeOf<Batchable>[]> {
  return transact(
    shard.pool,
    untilMs,
    async (transaction) => {
      const [row] = await transaction.rows<{ passed: number }>(PASSED, [Buffer.from(deadline, 'latin1')]);
      if (row?.passed !== 1) throw new Error('the batch may still come');
      const { reading } = await lookUpLocked(transaction, { schema: shard.schema, operations: some.map(({ errand }) => errand.operation) });
      const keys = some.flatMap(({ errand: { operation } }) => (operation.kind === 'deduct' || operation.kind === 'hold' ? operation.lines : []));
      const older = keys.length === 0 ? null : await findOlder(transaction, keys, begun);
      const isOlder = (key: FlowKey): boolean => older?.has(flowKeyText(key)) === true;
      return { keep: false, value: some.map(({ errand, intended }) => recallOne(errand.operation, intended, reading, isOlder)) };
    },
    untilMs,
  );
}

function isLocked(error: unknown): boolean {
  return error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout;
}

function latest(some: readonly { readonly errand: Errand }[]): number {
  return Math.max(...some.map(({ errand }) => errand.deadlineMs));
}
