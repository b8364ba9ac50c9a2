import type { Batchable } from '../../core/ledger/decide.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, FlowKey } from '../../core/nouns.ts';
import type { OutcomeOf, Unknown } from '../../core/outcome.ts';
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
 * Finds out what became of one shard's part of a batch whose answer did not come, and tells each. Once the shard's clock is
 * past the batch's deadline, what has not written its ids dies at the deadline, and what has makes these reads wait: found is
 * done, not found is never. Before it, found is done already. In halves where not all can be read at once, if there is time to hear
 * it: somebody may have a row locked.
 */
export async function recallBatch(
  shard: Shard,
  errands: readonly Errand[],
  intended: Decisions,
  doubt: BatchUnanswered,
): Promise<void> {
  const inDoubt = errands.map((errand, index) => ({
    errand,
    intended: intended[index] ?? ({ is: 'deferred' } as const),
  }));
  await settleDoubts(shard, inDoubt, doubt);
}

interface InDoubt {
  readonly errand: Errand;
  readonly intended: Decisions[number];
}

async function settleDoubts(shard: Shard, some: readonly InDoubt[], doubt: BatchUnanswered): Promise<void> {
  let open = some;
  const untilMs = Math.max(...some.map(({ errand }) => errand.deadlineMs));
  const timers = some.map(({ errand }) =>
    setTimeout(() => errand.resolve(unknownAfter(doubt, 'the time was up')), errand.deadlineMs - performance.now()),
  );
  const tell = async (): Promise<void> => {
    open = await tellKnown(shard, open, doubt, untilMs);
    if (open.length > 0) throw new Error('the batch may still come');
  };
  try {
    await untilAnswered(untilMs, tell, isLocked);
  } catch (error) {
    if (isLocked(error) && open.length > 1) {
      const half = Math.ceil(open.length / 2);
      await Promise.all([
        settleDoubts(shard, open.slice(0, half), doubt),
        settleDoubts(shard, open.slice(half), doubt),
      ]);
    } else for (const { errand } of open) errand.resolve(unknownAfter(doubt, reasonOf(error)));
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

function unknownAfter(doubt: BatchUnanswered, reason: string): Unknown {
  return { is: 'unknown', reason: `${doubt.message}; then ${reason}` };
}

/** Tells those whose rows stand as they were meant; once the deadline has passed, all. @returns the others */
async function tellKnown(
  shard: Shard,
  some: readonly InDoubt[],
  doubt: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<readonly InDoubt[]> {
  const { isOver, outcomes } = await recall(shard, some, doubt, untilMs);
  return some.filter(({ errand, intended }, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined || !(isOver || outcome.is === intended.is)) return true;
    errand.resolve(outcome);
    return false;
  });
}

interface Recalled {
  /** Whether nothing of the batch can come any more. */
  readonly isOver: boolean;
  readonly outcomes: readonly OutcomeOf<Batchable>[];
}

function recall(
  shard: Shard,
  some: readonly InDoubt[],
  doubt: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<Recalled> {
  const { begun, deadline } = doubt;
  return transact(
    shard.pool,
    untilMs,
    async (transaction) => {
      // Asked before the rows are read: what is not over then may come after.
      const [row] = await transaction.rows<{ passed: number }>(PASSED, [Buffer.from(deadline, 'latin1')]);
      const keys = some.flatMap(({ errand: { operation } }) =>
        operation.kind === 'deduct' || operation.kind === 'hold' ? operation.lines : [],
      );
      const older = keys.length === 0 ? null : await findOlder(transaction, keys, begun);
      // Last, so that what it locks is not locked for long.
      const { reading } = await lookUpLocked(transaction, {
        schema: shard.schema,
        operations: some.map(({ errand }) => errand.operation),
      });
      const isOlder = (key: FlowKey): boolean => older?.has(flowKeyText(key)) === true;
      const outcomes = some.map(({ errand, intended }): OutcomeOf<Batchable> => {
        try {
          return recallOne(errand.operation, intended, reading, isOlder);
        } catch (error) {
          // What the shard holds contradicts itself, but for this one alone.
          return unknownAfter(doubt, reasonOf(error));
        }
      });
      return { keep: false, value: { isOver: row?.passed === 1, outcomes } };
    },
    untilMs,
  );
}

function isLocked(error: unknown): boolean {
  return error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout;
}
