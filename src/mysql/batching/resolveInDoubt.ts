import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { LedgerRows } from '../../core/ledger/ledger.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import type { OutcomeOf, OutcomeInDoubt } from '../../core/outcome.ts';
import { SERVER_ERROR, ServerError } from '../connection/failures.ts';
import { untilAnswered } from '../connection/retries.ts';
import type { Shard } from '../shard.ts';
import { findOlder } from '../sql/flows/findOlder.ts';
import { lookUpLocked } from '../sql/batch/lookUp.ts';
import { transact } from '../connection/transaction.ts';
import type { BatchUnanswered, EntryDecision } from './batch.ts';
import { resolveInDoubtOperation } from './inDoubtOutcome.ts';
import type { QueuedOperation } from './batchQueue.ts';
import { errorText } from '../../core/text/errorText.ts';

const PASSED = 'SELECT SYSDATE(6) > CAST(CAST(? AS CHAR) AS DATETIME(6)) AS passed';

/** Operations over several shards that are read together, at most. */
const JOINT_GROUP_MAX = 8;

/**
 * Finds the outcomes of a batch whose answer did not arrive, and resolves its operations: those of the same shards
 * together, from the rows of all these shards. Once the shard's clock has passed
 * the deadline of the batch, a batch that has not written its ids fails at its deadline check. One that has written
 * them makes these reads wait. So ids that are found are done, and ids that are not found never will be. Before the
 * deadline, only ids that are found have an outcome. If a row is locked, so that not all can be read at once, the
 * operations are read in halves while there is time for it.
 */
export async function resolveInDoubtBatch(
  batch: readonly QueuedOperation[],
  unanswered: BatchUnanswered,
): Promise<void> {
  const groups = new Map<string, Group>();
  const full: Group[] = [];
  for (const [index, queued] of batch.entries()) {
    const shards = queued.parts.map(({ shard }) => shard);
    const key = shards
      .map(({ schema }) => schema)
      .sort()
      .join('\0');
    const known = groups.get(key);
    // One locked row delays a whole group, so those over several shards are small.
    const isFull = known !== undefined && shards.length > 1 && known.some.length >= JOINT_GROUP_MAX;
    const group = known === undefined || isFull ? { shards, some: [] } : known;
    if (isFull) full.push(known);
    group.some.push({ queued, intended: unanswered.intended[index] ?? { is: 'deferred' } });
    groups.set(key, group);
  }
  await Promise.all([...full, ...groups.values()].map(({ shards, some }) => resolveAll(shards, some, unanswered)));
}

/** Operations of the same shards, which are read together. */
interface Group {
  readonly shards: readonly Shard[];
  readonly some: InDoubt[];
}

interface InDoubt {
  readonly queued: QueuedOperation;
  readonly intended: EntryDecision;
}

/** @param shards the shards of every one of these operations */
async function resolveAll(
  shards: readonly Shard[],
  some: readonly InDoubt[],
  unanswered: BatchUnanswered,
): Promise<void> {
  let open = some;
  const untilMs = Math.max(...some.map(({ queued }) => queued.deadlineMs));
  const timers = some.map(({ queued }) =>
    setTimeout(
      () => queued.resolve(unknownAfter(unanswered, 'the time was up')),
      queued.deadlineMs - performance.now(),
    ),
  );
  const resolveOnce = async (): Promise<void> => {
    open = await resolveKnown(shards, open, unanswered, untilMs);
    if (open.length > 0) throw new Error('the batch may still be written');
  };
  try {
    await untilAnswered(untilMs, resolveOnce, isLocked);
  } catch (error) {
    if (isLocked(error) && open.length > 1) {
      const half = Math.ceil(open.length / 2);
      await Promise.all([
        resolveAll(shards, open.slice(0, half), unanswered),
        resolveAll(shards, open.slice(half), unanswered),
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
  shards: readonly Shard[],
  some: readonly InDoubt[],
  unanswered: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<readonly InDoubt[]> {
  const { isOver, outcomes } = await readOutcomes(shards, some, unanswered, untilMs);
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

async function readOutcomes(
  shards: readonly Shard[],
  some: readonly InDoubt[],
  unanswered: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<ReadOutcomes> {
  const reads = new Map<Shard, ShardRead>();
  for (const shard of shards) reads.set(shard, await readShard(shard, some, unanswered, untilMs));
  const all = [...reads.values()];
  const isOlder = (key: FlowKey): boolean => all.some(({ older }) => older.has(flowKeyText(key)));
  const readingOf = (shard: Shard): LedgerRows => {
    const read = reads.get(shard);
    if (read === undefined) throw new Error('an operation has a part on a shard that was not read');
    return read.reading;
  };
  const outcomes = some.map(({ queued: { parts }, intended }): OutcomeOf<BatchOperation> => {
    try {
      const read = parts.map(({ shard, operation }) => ({ operation, reading: readingOf(shard) }));
      return resolveInDoubtOperation(read, intended, isOlder);
    } catch (error) {
      // The rows of this operation contradict each other. The other operations are not affected.
      return unknownAfter(unanswered, errorText(error));
    }
  });
  return { isOver: all.every(({ isOver }) => isOver), outcomes };
}

interface ShardRead {
  readonly isOver: boolean;
  /** The flows of the operations that existed before the batch, as `flowKeyText`. */
  readonly older: ReadonlySet<string>;
  readonly reading: LedgerRows;
}

function readShard(
  shard: Shard,
  some: readonly InDoubt[],
  { startedAt, deadline }: BatchUnanswered,
  untilMs: DeadlineMs,
): Promise<ShardRead> {
  const operations = some.flatMap(({ queued: { parts } }) =>
    parts.flatMap((part) => (part.shard === shard ? [part.operation] : [])),
  );
  return transact(
    shard.pool,
    untilMs,
    async (transaction) => {
      // Asked before the rows are read: if the deadline has not passed here, the batch may be written after the read.
      const [row] = await transaction.rows<{ passed: number }>(PASSED, [Buffer.from(deadline, 'latin1')]);
      const keys = operations.flatMap((operation) =>
        operation.kind === 'deduct' || operation.kind === 'hold' ? operation.lines : [],
      );
      const older = keys.length === 0 ? NONE : await findOlder(transaction, keys, startedAt);
      // Read last, so that its locks are held for a short time.
      const { reading } = await lookUpLocked(transaction, { schema: shard.schema, operations });
      return { keep: false, value: { isOver: row?.passed === 1, older, reading } };
    },
    untilMs,
  );
}

const NONE: ReadonlySet<string> = new Set();

function isLocked(error: unknown): boolean {
  return error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout;
}
