import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { Shard } from '../shard.ts';
import { LARGEST_PACKET_BYTES, LINES_MAX, OPERATIONS_MAX } from './largestPacket.ts';

/** The part of a queued operation that belongs to one shard. */
export interface QueuedPart {
  readonly shard: Shard;
  readonly operation: BatchOperation;
}

/** One operation that is queued for its shards, which are on one server. */
export interface QueuedOperation {
  /** At least one, and mostly only one. All are applied, or none. */
  readonly parts: readonly QueuedPart[];
  /** The stock rows that it needs, as `stockRowKeyText`: one for each line. */
  readonly stockRows: readonly string[];
  /** The longest rows that it writes, in bytes. */
  readonly bytes: number;
  /**
   * It decides or completes what other shards hold already. It enters above the bound and leaves first, because holds
   * that nothing completes would fill the queue.
   */
  readonly isUrgent: boolean;
  readonly deadlineMs: DeadlineMs;
  resolve(outcome: OutcomeOf<BatchOperation>): void;
  reject(error: unknown): void;
}

/** A stock row that another transaction keeps locked. */
export interface LockedRow {
  readonly stockRow: string;
  /** False if it is only known to have been in a batch that met a lock. */
  readonly isSure: boolean;
  readonly untilMs: DeadlineMs;
  /**
   * The class of operations that also need other rows: they lock this row first, without a wait, so that their other
   * rows are not blocked meanwhile. Null: this is that class.
   */
  readonly withOthers: LockedRow | null;
}

/** The longest time that a stock row counts as locked. If it still is locked, the next batch meets the lock again. */
const LOCKED_MS = 10_000;
/** The most rows that are marked as locked; above it, all marks are dropped. */
const LOCKED_MAX = 10_000;

/**
 * The class of an operation. A batch has operations of one class only. Either they can be decided without a read, or
 * they need a read first and must not delay the others. Or all are for one shard that is not serving now, or all have
 * one locked stock row.
 */
export type BatchClass = 'guessed' | 'looked up' | Shard | LockedRow;

/**
 * Operations that wait for a batch: first those that were put back, then urgent ones, then the others, each in the
 * order of their arrival. So an operation that was put back is decided from rows that were read, not behind new ones of
 * the same row.
 *
 * Stock rows that another transaction keeps locked are marked. Operations with such a row are sent in batches of that
 * row alone, so that it delays no others.
 */
export class BatchQueue {
  #putBack: QueuedOperation[] = [];
  #urgent: QueuedOperation[] = [];
  #others: QueuedOperation[] = [];
  /** No waiting operation has an earlier deadline. */
  #earliestMs: DeadlineMs = Infinity;
  /** All shards that operations were queued for. */
  readonly #shards = new Set<Shard>();
  readonly #locked = new Map<string, LockedRow>();
  /** The end of the latest mark. */
  #lockedUntilMs: DeadlineMs = -Infinity;
  readonly #canGuess: (parts: readonly QueuedPart[]) => boolean;
  readonly #linesMax: number;

  /** @param canGuess whether an operation may be decided without a read */
  constructor(canGuess: (parts: readonly QueuedPart[]) => boolean, linesMax = LINES_MAX) {
    this.#canGuess = canGuess;
    this.#linesMax = linesMax;
  }

  get isEmpty(): boolean {
    return this.#lists.every(({ length }) => length === 0);
  }

  /** @returns false if the bound of operations that wait for one of its shards is reached */
  add(queued: QueuedOperation): boolean {
    const { parts, isUrgent } = queued;
    for (const [entered, { shard }] of parts.entries()) {
      if (shard.batchAdmission.enter(isUrgent ? Infinity : 0)) continue;
      for (const part of parts.slice(0, entered)) part.shard.batchAdmission.leave();
      return false;
    }
    (isUrgent ? this.#urgent : this.#others).push(queued);
    for (const { shard } of parts) this.#shards.add(shard);
    this.#earliestMs = Math.min(this.#earliestMs, queued.deadlineMs);
    return true;
  }

  /** Puts operations back that were taken, before all others. The bound does not apply. */
  requeue(batch: readonly QueuedOperation[]): void {
    if (batch.length === 0) return;
    for (const { parts } of batch) for (const { shard } of parts) shard.batchAdmission.enter(Infinity);
    this.#putBack = [...batch, ...this.#putBack];
    for (const { deadlineMs } of batch) this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
  }

  lock(stockRows: Iterable<string>, isSure: boolean): void {
    const untilMs = performance.now() + LOCKED_MS;
    if (this.#locked.size > LOCKED_MAX) this.#locked.clear();
    this.#lockedUntilMs = untilMs;
    for (const stockRow of stockRows) {
      const locked = { stockRow, isSure, untilMs };
      this.#locked.set(stockRow, { ...locked, withOthers: { ...locked, withOthers: null } });
    }
  }

  /** Removes marks: all marks of rows that were written, and of other rows only those that are not sure. */
  unlock(stockRows: Iterable<string>, isWritten: boolean): void {
    if (this.#locked.size === 0) return;
    for (const stockRow of stockRows)
      if (isWritten || this.#locked.get(stockRow)?.isSure === false) this.#locked.delete(stockRow);
  }

  /** Removes operations that have too little time left. */
  takeExpired(latestMs: DeadlineMs): QueuedOperation[] {
    if (this.#earliestMs >= latestMs) return [];
    const expired = this.#remove(({ deadlineMs }) => deadlineMs < latestMs);
    const left = this.#lists.flat();
    this.#earliestMs = left.reduce((earliestMs, { deadlineMs }) => Math.min(earliestMs, deadlineMs), Infinity);
    return expired;
  }

  /** Removes operations over several shards one of which does not serve: it must not be written meanwhile. */
  takeUnserved(): QueuedOperation[] {
    if (this.#areAllServing) return [];
    return this.#remove(({ parts }) => parts.length > 1 && parts.some(({ shard }) => !shard.isServing));
  }

  /** Whether some operation may need a batch apart: for a shard that does not serve, or for a locked row. */
  get mayNeedBatchApart(): boolean {
    if (this.#locked.size > 0 && this.#lockedUntilMs < performance.now()) this.#locked.clear();
    return this.#locked.size > 0 || !this.#areAllServing;
  }

  get #areAllServing(): boolean {
    for (const shard of this.#shards) if (!shard.isServing) return false;
    return true;
  }

  /** Removes operations with one of the rows that have too little time left. */
  takeWithRows(stockRows: ReadonlySet<string>, latestMs: DeadlineMs): QueuedOperation[] {
    return this.#remove(
      (queued) => queued.deadlineMs < latestMs && queued.stockRows.some((stockRow) => stockRows.has(stockRow)),
    );
  }

  /** In the order in which they leave. */
  get #lists(): readonly (readonly QueuedOperation[])[] {
    return [this.#putBack, this.#urgent, this.#others];
  }

  /** Removes operations, and counts them as gone. @param isTaken called for each one, in the order of leaving */
  #remove(isTaken: (queued: QueuedOperation) => boolean): QueuedOperation[] {
    const taken: QueuedOperation[] = [];
    const left = this.#lists.map((list) =>
      list.filter((queued) => {
        if (!isTaken(queued)) return true;
        taken.push(queued);
        return false;
      }),
    );
    if (taken.length === 0) return taken;
    [this.#putBack = [], this.#urgent = [], this.#others = []] = left;
    taken.forEach(leave);
    return taken;
  }

  /**
   * Takes out the next batch: the first operation that may be sent, and others of its class.
   *
   * @param uncertain the result of `uncertainRows`
   * @param isBusy whether a batch with the row is being sent; operations with that row wait
   * @param mayGo whether a batch of the class may be sent now
   */
  takeBatch(
    uncertain: ReadonlySet<string>,
    isBusy: (stockRow: string) => boolean,
    mayGo: (batchClass: BatchClass) => boolean,
  ): { readonly batch: readonly QueuedOperation[]; readonly batchClass: BatchClass } {
    let [lines, bytes, operations, count] = [0, 0, 0, 0];
    let batchClass: BatchClass = 'guessed';
    const batch = this.#remove((queued) => {
      const itsClass = this.#classOf(queued, uncertain);
      const fits =
        count === 0
          ? mayGo(itsClass)
          : itsClass === batchClass &&
            lines + queued.stockRows.length <= this.#linesMax &&
            bytes + queued.bytes <= LARGEST_PACKET_BYTES &&
            (queued.isUrgent || operations < OPERATIONS_MAX);
      if (!fits || queued.stockRows.some(isBusy)) return false;
      batchClass = itsClass;
      lines += queued.stockRows.length;
      bytes += queued.bytes;
      count += 1;
      if (!queued.isUrgent) operations += 1;
      return true;
    });
    return { batch, batchClass };
  }

  /**
   * Rows that some queued operation must read. All operations with them are of the same class, so they keep their
   * order.
   */
  uncertainRows(): ReadonlySet<string> {
    const uncertain = new Set<string>();
    for (const { parts, stockRows } of this.#lists.flat())
      if (!this.#canGuess(parts)) for (const stockRow of stockRows) uncertain.add(stockRow);
    return uncertain;
  }

  #classOf({ parts, stockRows }: QueuedOperation, uncertain: ReadonlySet<string>): BatchClass {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined && !only.shard.isServing) return only.shard;
    const locked = this.#locked.size === 0 ? undefined : this.#lockedOf(stockRows);
    if (locked !== undefined) {
      const isAlone = stockRows.every((stockRow) => stockRow === locked.stockRow);
      return isAlone || locked.withOthers === null ? locked : locked.withOthers;
    }
    return uncertain.size > 0 && stockRows.some((stockRow) => uncertain.has(stockRow)) ? 'looked up' : 'guessed';
  }

  #lockedOf(stockRows: readonly string[]): LockedRow | undefined {
    for (const stockRow of stockRows) {
      const locked = this.#locked.get(stockRow);
      if (locked === undefined) continue;
      if (locked.untilMs > performance.now()) return locked;
      this.#locked.delete(stockRow);
    }
    return undefined;
  }
}

function leave({ parts }: QueuedOperation): void {
  for (const { shard } of parts) shard.batchAdmission.leave();
}
