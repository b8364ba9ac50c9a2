import type { DeadlineMs } from '../core/nouns.ts';
import { Crowd } from './crowd.ts';
import type { Shares } from './crowd.ts';

interface Waiter {
  readonly shares: Shares;
  readonly enter: () => void;
  /** Whose share was taken when this was looked at last. */
  taken: string | null;
}

/**
 * Bounds how many of something are under way at once, and how many of them name one thing. First come, first served, but
 * who names something whose share is taken is passed by those who do not. Only the first in line is not overtaken in what
 * he names: a place is kept for him in each share, or those who name less would always get in before him.
 */
export class Places {
  readonly #inside: Crowd;
  readonly #waiting: Crowd;
  readonly #line = new Set<Waiter>();

  /** @param max under way at once @param waitingMax who comes when so many wait is turned away; shares are of both */
  constructor(max: number, waitingMax: number) {
    this.#inside = new Crowd(max);
    this.#waiting = new Crowd(waitingMax);
  }

  /** @returns how to leave again; null when no place became free in time, or too many wait */
  async take(shares: Shares, untilMs: DeadlineMs): Promise<(() => void) | null> {
    const [first] = this.#line;
    const taken = this.#inside.findTaken(shares, first?.shares);
    if (taken === null && !this.#inside.isFull) return this.#enter(shares);
    const waitMs = untilMs - performance.now();
    if (waitMs <= 0 || this.#waiting.isFull || this.#waiting.findTaken(shares) !== null) return null;
    return this.#wait(shares, taken, waitMs);
  }

  #enter(shares: Shares): () => void {
    this.#inside.join(shares);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#inside.leave(shares);
      this.#admit();
    };
  }

  #wait(shares: Shares, taken: string | null, waitMs: number): Promise<(() => void) | null> {
    return new Promise((resolve) => {
      const end = (leave: (() => void) | null): void => {
        clearTimeout(timer);
        this.#line.delete(waiter);
        this.#waiting.leave(shares);
        resolve(leave);
      };
      const waiter: Waiter = { shares, taken, enter: () => end(this.#enter(shares)) };
      const timer = setTimeout(() => {
        end(null);
        this.#admit();
      }, waitMs);
      this.#line.add(waiter);
      this.#waiting.join(shares);
    });
  }

  /** Lets in all who may enter. Nobody who may is left waiting, so who comes next does not overtake by entering at once. */
  #admit(): void {
    let first: Waiter | null = null;
    for (const waiter of this.#line) {
      if (this.#inside.isFull) return;
      waiter.taken = this.#inside.findTaken(waiter.shares, first?.shares, waiter.taken);
      if (waiter.taken === null) waiter.enter();
      else first ??= waiter;
    }
  }
}
