import type { DeadlineMs } from '../../core/types.ts';
import { QuotaCounter } from './quotaCounter.ts';
import type { QuotaShares } from './quotaCounter.ts';

interface Waiter {
  readonly shares: QuotaShares;
  readonly enter: () => void;
  /** The name whose share was used up at the last check; null: none. */
  blockedBy: string | null;
}

/**
 * An admission queue. It bounds how many operations are under way at once, and how many of them use one name. It admits
 * in the order of arrival, but a waiter that uses a name without a free share is overtaken by waiters that do not.
 *
 * The first waiter in line has one admission reserved in each share that it names. Without this, waiters with fewer
 * names would always enter before it.
 */
export class AdmissionQueue {
  readonly #admitted: QuotaCounter;
  readonly #waiting: QuotaCounter;
  readonly #line = new Set<Waiter>();

  /**
   * Shares are parts of both bounds.
   *
   * @param max operations under way at once
   * @param waitingMax waiters; while there are so many, further operations are rejected
   * @param waitingShareMin the smallest share of the waiters that a name has
   */
  constructor(max: number, waitingMax: number, waitingShareMin = 0) {
    this.#admitted = new QuotaCounter(max);
    this.#waiting = new QuotaCounter(waitingMax, waitingShareMin);
  }

  /**
   * @returns a function that ends the admission; null when there was none until `untilMs`, or too many operations wait
   */
  async enter(shares: QuotaShares, untilMs: DeadlineMs): Promise<(() => void) | null> {
    const [first] = this.#line;
    const blockedBy = this.#admitted.findExhausted(shares, first?.shares);
    if (blockedBy === null && !this.#admitted.isFull) return this.#enter(shares);
    const waitMs = untilMs - performance.now();
    if (waitMs <= 0 || this.#waiting.isFull || this.#waiting.findExhausted(shares) !== null) return null;
    return this.#wait(shares, blockedBy, waitMs);
  }

  #enter(shares: QuotaShares): () => void {
    this.#admitted.join(shares);
    let isAdmitted = true;
    return () => {
      if (!isAdmitted) return;
      isAdmitted = false;
      this.#admitted.leave(shares);
      this.#admit();
    };
  }

  #wait(shares: QuotaShares, blockedBy: string | null, waitMs: number): Promise<(() => void) | null> {
    return new Promise((resolve) => {
      const end = (leave: (() => void) | null): void => {
        clearTimeout(timer);
        this.#line.delete(waiter);
        this.#waiting.leave(shares);
        resolve(leave);
      };
      const waiter: Waiter = { shares, blockedBy, enter: () => end(this.#enter(shares)) };
      const timer = setTimeout(() => {
        end(null);
        this.#admit();
      }, waitMs);
      this.#line.add(waiter);
      this.#waiting.join(shares);
    });
  }

  /**
   * Admits all waiters that may enter. None of them keeps waiting, so a new operation that enters at once overtakes
   * none.
   */
  #admit(): void {
    let first: Waiter | null = null;
    for (const waiter of this.#line) {
      if (this.#admitted.isFull) return;
      waiter.blockedBy = this.#admitted.findExhausted(waiter.shares, first?.shares, waiter.blockedBy);
      if (waiter.blockedBy === null) waiter.enter();
      else first ??= waiter;
    }
  }
}
