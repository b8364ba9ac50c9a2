import type { BatchOperation } from '../../core/ledger/decide.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import type { OutcomeOf, OutcomeInDoubt } from '../../core/outcome.ts';
import { SERVER_ERROR, ServerError } from '../connection/failures.ts';
import { untilAnswered } from '../connection/retries.ts';
import type { Shard } from '../shard.ts';
import { findOlder } from '../sql/flows/findOlder.ts';
import { lookUpLocked } from '../sql/batch/lookUp.ts';
import { transact } from '../connection/transaction.ts';
import { resolveInDoubtOperation } from './batch.ts';
import type { BatchUnanswered, Decisions } from './batch.ts';
import type { QueuedOperation } from './batchQueue.ts';
import { errorText } from '../../core/text/errorText.ts';

const PASSED = 'SELECT SYSDATE(6) > CAST(CAST(? AS CHAR) AS DATETIME(6)) AS passed';

/**
 * Finds the outcome of one shard's part of a batch whose answer did not arrive, and resolves its operations. Once the
 * shard's clock has passed the deadline of the batch, a batch that has not written its ids fails at its deadline check.
 * One that has written them makes these reads wait. So ids that are found are done, and ids that are not found never
 * will be. Before the deadline, only ids that are found have an outcome. If a row is locked, so that not all can be
 * read at once, the operations are read in halves while there is time for it.
 */
export async function resolveInDoubtBatch(
  shard: Shard,
  batch: readonly QueuedOperation[],
  intended: Decisions,
  unanswered: BatchUnanswered,
): Promise<void> {
  const inDoubt = batch.map((queued, index) => ({
    queued,
    intended: intended[index] ?? ({ is: 'deferred' } as const),
  }));
  await resolveAll(shard, inDoubt, unanswered);
}

interface InDoubt {
  readonly queued: QueuedOperation;
  readonly intended: Decisions[number];
}

async function resolveAll(shard: Shard, some: readonly InDoubt[], unanswered: BatchUnanswered): Promise<void> {
  let open = some;
  const untilMs = Math.max(...some.map(({ queued }) => queued.deadlineMs));
  const timers = some.map(({ queued }) =>
    setTimeout(
      () => queued.resolve(unknownAfter(unanswered, 'the time was up')),
      queued.deadlineMs - performance.now(),
    ),
  );
  const resolveOnce = async (): Promise<void> => {
    open = await resolveKnown(shard, open, unanswered, untilMs);
    if (open.length > 0) throw new Error('the batch may still be written');
  };
  try {
    await untilAnswered(untilMs, resolveOnce, isLocked);
  } catch (error) {
    if (isLocked(error) && open.length > 1) {
      const half = Math.ceil(open.length / 2);
      await Promise.all([
        resolveAll(shard, open.slice(0, half), unanswered),
        resolveAll(shard, open.slice(half), unanswered),
      ]);
    } else for (const { queued } of open) queued.resolve(unknownAfter(unanswered, errorText(error)));
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

function unknownAfter(unanswered: BatchUnanswered, reason: string): OutcomeInDoubt {
  return { is: 'unknown', reason: `${unanswered.message}; then ${reason}` };
}

/** Resolves operations whose rows are as intended, and after the deadline all operations. @returns the others */
async function resolveKnown(
  shard: Shard,
  some: readonly InDoubt[],
  unanswered: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<readonly InDoubt[]> {
  const { isOver, outcomes } = await readOutcomes(shard, some, unanswered, untilMs);
  return some.filter(({ queued, intended }, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined || !(isOver || outcome.is === intended.is)) return true;
    queued.resolve(outcome);
    return false;
  });
}

interface ReadOutcomes {
  /** Whether nothing of the batch can be written any more. */
  readonly isOver: boolean;
  readonly outcomes: readonly OutcomeOf<BatchOperation>[];
}

function readOutcomes(
  shard: Shard,
  some: readonly InDoubt[],
  unanswered: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<ReadOutcomes> {
  const { startedAt, deadline } = unanswered;
  return transact(
    shard.pool,
    untilMs,
    async (transaction) => {
      // Asked before the rows are read: if the deadline has not passed here, the batch may be written after the read.
      const [row] = await transaction.rows<{ passed: number }>(PASSED, [Buffer.from(deadline, 'latin1')]);
      const keys = some.flatMap(({ queued: { operation } }) =>
        operation.kind === 'deduct' || operation.kind === 'hold' ? operation.lines : [],
      );
      const older = keys.length === 0 ? null : await findOlder(transaction, keys, startedAt);
      // Read last, so that its locks are held for a short time.
      const { reading } = await lookUpLocked(transaction, {
        schema: shard.schema,
        operations: some.map(({ queued }) => queued.operation),
      });
      const isOlder = (key: FlowKey): boolean => older?.has(flowKeyText(key)) === true;
      const outcomes = some.map(({ queued, intended }): OutcomeOf<BatchOperation> => {
        try {
          return resolveInDoubtOperation(queued.operation, intended, reading, isOlder);
        } catch (error) {
          // The rows of this operation contradict each other. The other operations are not affected.
          return unknownAfter(unanswered, errorText(error));
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
