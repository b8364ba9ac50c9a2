import { stockRowKeysOf } from '../../core/operation.ts';
import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import { WORK_MS } from '../connection/transaction.ts';
import { operationBytesMax } from './largestPacket.ts';
import { BatchSender } from './batchSender.ts';
import { Hints } from './hints.ts';
import { BatchQueue } from './batchQueue.ts';
import type { BatchClass, LockedRow, QueuedOperation, QueuedPart } from './batchQueue.ts';

/** A batch that takes longer may be waiting for a lock. Batches with other SKUs may then overtake it. */
const LATE_MS = 100;
const BATCHES_MAX = 6;
/** How often the queue is checked while operations wait and no batch starts or ends. */
const WATCH_MS = 100;
/** Completions leave with the next batch. Without one, they leave by themselves after this time. */
const COMPLETION_WAIT_MS = 5;

const NO_BATCH = { batch: [], batchClass: 'looked up' } as const;

interface SentBatch {
  readonly batchClass: BatchClass;
  readonly stockRows: ReadonlySet<string>;
  readonly timer: NodeJS.Timeout;
  isLate: boolean;
}

/**
 * Sends the operations for all shards of one server in batches. One `guessed` and one `looked up` batch is sent at a
 * time, and operations that arrive meanwhile form the next one. Nothing waits for a timer. Batches overtake another
 * only when it is late, because another transaction keeps one of its rows locked.
 *
 * All shards share one transaction, because most of the cost of a small transaction is its COMMIT. Shards of one server
 * fail together in any case.
 */
export class ServerWriter {
  readonly #hints = new Hints();
  readonly #queue: BatchQueue;
  readonly #sender: BatchSender;
  readonly #sentBatches = new Set<SentBatch>();
  #watch: NodeJS.Timeout | null = null;
  #completions: NodeJS.Timeout | null = null;
  #isScheduled = false;

  /** @param linesMax the most lines in one batch */
  constructor(linesMax?: number) {
    this.#queue = new BatchQueue((parts) => this.#hints.requiredReadOf(parts) === 'nothing', linesMax);
    this.#sender = new BatchSender(this.#queue, this.#hints, () => this.#schedule());
  }

  /**
   * Sends an operation together with others. It rejects only on a fault of its own.
   *
   * @param parts its part on each shard; at least one
   */
  apply(parts: readonly QueuedPart[], deadlineMs: DeadlineMs): Promise<OutcomeOf<BatchOperation>> {
    return new Promise((resolve, reject) => {
      const [first] = parts;
      const isCompletion = first?.operation.kind === 'settle';
      const isUrgent = isCompletion || parts.some(({ operation }) => isDecision(operation));
      const stockRows = parts.flatMap(({ operation }) => stockRowKeysOf(operation));
      const bytes = parts.reduce((sum, { operation }) => sum + operationBytesMax(operation), 0);
      const queued = { parts, stockRows, bytes, isUrgent, deadlineMs, resolve, reject };
      if (!this.#queue.add(queued)) resolve({ is: 'not_done', reason: 'too many requests wait for this shard' });
      else if (isCompletion) this.#scheduleCompletions();
      else this.#schedule();
    });
  }

  /** No caller waits for a completion, so it starts no batch while others may. */
  #scheduleCompletions(): void {
    if (this.#completions !== null) return;
    this.#completions = setTimeout(() => {
      this.#completions = null;
      this.#sendBatches();
    }, COMPLETION_WAIT_MS);
  }

  /** Starts batches after the sockets have been read, so that the requests read there are in the same batch. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#sendBatches();
    });
  }

  #sendBatches(): void {
    for (const queued of this.#queue.takeExpired(performance.now() + WORK_MS))
      queued.resolve({ is: 'not_done', reason: 'the deadline passed before work began' });
    for (const queued of this.#queue.takeUnserved())
      queued.resolve({ is: 'not_done', reason: 'a shard of the operation does not serve' });
    while (this.#sentBatches.size < BATCHES_MAX) {
      const { batch, batchClass } = this.#takeNext();
      if (batch.length === 0) break;
      void this.#send(batch, batchClass);
    }
    this.#watchQueue();
  }

  #takeNext(): { readonly batch: readonly QueuedOperation[]; readonly batchClass: BatchClass } {
    const sentBatches = [...this.#sentBatches];
    const isBusy = (stockRow: string): boolean => sentBatches.some(({ stockRows }) => stockRows.has(stockRow));
    const isSending = (batchClass: BatchClass): boolean =>
      sentBatches.some((sent) => sent.batchClass === batchClass && !sent.isLate);
    // All other operations wait for that batch, so there is no need to look at them.
    if (isSending('guessed') && !this.#queue.mayNeedBatchApart) return NO_BATCH;
    // Operations that need a read share a batch with those that do not. Otherwise they would be sent in many small
    // batches.
    const uncertain = this.#queue.uncertainRows();
    const mayRead = uncertain.size > 0 && !isSending('looked up') && !isSending('guessed');
    const withRead = mayRead
      ? this.#queue.takeBatch(uncertain, isBusy, (candidate) => candidate === 'looked up')
      : NO_BATCH;
    if (withRead.batch.length > 0) return withRead;
    return this.#queue.takeBatch(uncertain, isBusy, (candidate) =>
      // The last two batches are reserved for operations with no locked row on a shard that serves.
      candidate === 'guessed'
        ? !isSending('guessed')
        : typeof candidate !== 'string' && sentBatches.length < BATCHES_MAX - 2,
    );
  }

  /** While all batches are late, nothing else starts the operations behind them, and these have deadlines. */
  #watchQueue(): void {
    if (this.#watch !== null || this.#queue.isEmpty) return;
    this.#watch = setTimeout(() => {
      this.#watch = null;
      this.#sendBatches();
    }, WATCH_MS);
  }

  async #send(batch: readonly QueuedOperation[], batchClass: BatchClass): Promise<void> {
    const sent: SentBatch = {
      batchClass,
      stockRows: new Set(batch.flatMap((queued) => queued.stockRows)),
      isLate: false,
      timer: setTimeout(() => {
        sent.isLate = true;
        this.#sendBatches();
      }, LATE_MS),
    };
    this.#sentBatches.add(sent);
    try {
      await this.#sender.send(batch, lockedRowOf(batchClass), () => this.#finish(sent));
    } catch (error) {
      for (const queued of batch) queued.reject(error);
    } finally {
      this.#finish(sent);
    }
  }

  #finish(sent: SentBatch): void {
    clearTimeout(sent.timer);
    if (this.#sentBatches.delete(sent)) this.#sendBatches();
  }
}

function isDecision(operation: BatchOperation): boolean {
  return operation.kind === 'deduct' && operation.isDecision === true;
}

/** The row of a class of operations that name a locked row beside others. */
function lockedRowOf(batchClass: BatchClass): LockedRow | null {
  return typeof batchClass === 'object' && 'withOthers' in batchClass && batchClass.withOthers === null
    ? batchClass
    : null;
}
