import { DEFERRED } from '../../core/ledger/decideDeduction.ts';
import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import { hadNoEffect, SERVER_ERROR, ServerError } from '../connection/failures.ts';
import { LOCK_ERROR_MS } from '../sql/session/prepareSession.ts';
import { IN_DOUBT_READ_MS, WORK_MS } from '../connection/transaction.ts';
import { BatchUnanswered, runBatch } from './batch.ts';
import type { Decisions } from './batch.ts';
import type { Hints } from './hints.ts';
import { HoldFinder } from './holdFinder.ts';
import type { ShortOperation } from './holdFinder.ts';
import { shardsOf, splitByShard } from './shardOperations.ts';
import type { BatchQueue, LockedRow, QueuedOperation } from './batchQueue.ts';
import { resolveInDoubtBatch } from './resolveInDoubt.ts';
import { findLockConflicts } from './findLockConflicts.ts';
import { errorText } from '../../core/text/errorText.ts';

/**
 * The longest time for a batch. It is below the 5 s that the shard allows, and long enough to receive the error of a
 * lock wait that timed out.
 */
const BATCH_MS = LOCK_ERROR_MS + 100;
/** With less time than this left, the error of a second lock wait could not be received. */
const AGAIN_MS = LOCK_ERROR_MS + IN_DOUBT_READ_MS;

interface Resolution {
  readonly queued: QueuedOperation;
  readonly outcome: OutcomeOf<BatchOperation>;
}

interface Answers {
  readonly resolutions: readonly Resolution[];
  readonly short: readonly ShortOperation[];
}

/** Sends batches and resolves each operation in them. Operations that must be decided again go back to the queue. */
export class BatchSender {
  readonly #queue: BatchQueue;
  readonly #hints: Hints;
  readonly #whenPutBack: () => void;
  readonly #holders = new HoldFinder();

  /** @param whenPutBack is called when operations are put back after the batch was answered */
  constructor(queue: BatchQueue, hints: Hints, whenPutBack: () => void) {
    this.#queue = queue;
    this.#hints = hints;
    this.#whenPutBack = whenPutBack;
  }

  /**
   * @param locked the row that all operations of the batch name beside others, if another transaction had it locked
   * @param whenAnswered is called when the batch has been written, before its operations are resolved
   */
  async send(batch: readonly QueuedOperation[], locked: LockedRow | null, whenAnswered: () => void): Promise<void> {
    const shards = shardsOf(batch);
    const [first] = shards;
    if (first === undefined) return;
    const schemas = shards.map(({ schema }) => schema);
    const lockedRow = locked?.stockRow ?? null;
    // Each operation must be answered by its deadline, so the earliest deadline sets the end.
    const endMs = Math.min(
      performance.now() + BATCH_MS,
      ...batch.map(({ deadlineMs }) => deadlineMs - IN_DOUBT_READ_MS),
    );
    try {
      const decisions = await first.pool.lend(endMs - WORK_MS / 2, (connection) =>
        runBatch(connection, first.clock, { schemas, entries: batch, lockedRow }, this.#hints, endMs),
      );
      const { resolutions, short } = this.#sort(batch, decisions);
      // The next batch leaves before this one's operations are resolved: the server works while answers are written.
      whenAnswered();
      for (const { queued, outcome } of resolutions) queued.resolve(outcome);
      await this.#nameHolders(short);
    } catch (error) {
      if (error instanceof BatchUnanswered) await resolveInDoubtBatch(batch, error);
      else if (lockedRow !== null && isLocked(error)) answerNotDone(batch, errorText(error));
      else if (error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout)
        await this.#handleLocks(batch, error);
      else if (hadNoEffect(error)) answerNotDone(batch, errorText(error));
      else throw error;
    }
  }

  /** Puts operations that must be decided again back at once, before any that came later. @returns the others */
  #sort(batch: readonly QueuedOperation[], decisions: Decisions): Answers {
    const again: QueuedOperation[] = [];
    const resolutions: Resolution[] = [];
    const short: ShortOperation[] = [];
    batch.forEach((queued, index) => {
      const decision = decisions[index] ?? DEFERRED;
      if (decision.is === 'undecidable') return queued.reject(decision.error);
      this.#hints.storeDecision(queued.parts, decision);
      // An operation that only reads does not meet a lock.
      this.#queue.unlock(queued.stockRows, !isTrial(queued) && isWritten(decision));
      if (decision.is === 'deferred') again.push(queued);
      else if (decision.is === 'lacking') short.push({ queued, sku_ids: decision.sku_ids });
      else resolutions.push({ queued, outcome: decision });
    });
    this.#queue.requeue(again);
    return { resolutions, short };
  }

  async #nameHolders(short: readonly ShortOperation[]): Promise<void> {
    if (short.length === 0) return;
    try {
      const again = await this.#holders.answerWithHolds(short);
      if (again.length === 0) return;
      this.#queue.requeue(again);
      this.#whenPutBack();
    } catch (error) {
      if (!hadNoEffect(error)) throw error;
      answerNotDone(
        short.map(({ queued }) => queued),
        errorText(error),
      );
    }
  }

  /**
   * Another transaction keeps a row locked. Operations with a locked stock row are sent in batches of that row alone
   * from now on. Operations with a locked id are answered `not_done`. The others are sent again at once. An operation
   * with the locked stock row, in the batch or in the queue, is also answered `not_done` if too little time is left to
   * receive another lock error: it would end as in-doubt.
   */
  async #handleLocks(batch: readonly QueuedOperation[], { message }: ServerError): Promise<void> {
    const { stockRows, withLockedIds } = await findLockConflicts(splitByShard(batch));
    const namedRows = new Set(batch.flatMap((queued) => queued.stockRows));
    const isFound = stockRows.length + withLockedIds.size > 0;
    // No locked stock row and no locked id: the lock is on a slot, or it is released. Each SKU is sent alone once.
    this.#queue.lock(isFound ? stockRows : namedRows, isFound);
    const wasSentAlone = namedRows.size === 1 && withLockedIds.size === 0;
    const locked = wasSentAlone ? namedRows : new Set(stockRows);
    const againUntilMs = performance.now() + AGAIN_MS;
    const isRejected = (queued: QueuedOperation): boolean =>
      wasSentAlone ||
      withLockedIds.has(queued) ||
      (queued.deadlineMs < againUntilMs && queued.stockRows.some((stockRow) => locked.has(stockRow)));
    answerNotDone([...batch.filter(isRejected), ...this.#queue.takeWithRows(locked, againUntilMs)], message);
    this.#queue.requeue(batch.filter((queued) => !isRejected(queued)));
  }
}

function answerNotDone(batch: Iterable<QueuedOperation>, reason: string): void {
  for (const queued of batch) queued.resolve({ is: 'not_done', reason });
}

function isTrial({ parts }: QueuedOperation): boolean {
  return parts.some(({ operation }) => operation.kind === 'hold' && operation.isTrial === true);
}

function isLocked(error: unknown): boolean {
  return (
    error instanceof ServerError &&
    (error.number === SERVER_ERROR.lockedNow || error.number === SERVER_ERROR.lockWaitTimeout)
  );
}

/** Whether the shard has written something for the operation, which means that its rows were not locked. */
function isWritten(decision: Exclude<Decisions[number], { readonly is: 'undecidable' }>): boolean {
  if (decision.is === 'deducted' || decision.is === 'held') return decision.lines.some(({ replayed }) => !replayed);
  return (decision.is === 'applied' || decision.is === 'returned') && !decision.replayed;
}
