import type { DeadlineMs } from '../core/nouns.ts';

interface Waiter {
  readonly enter: () => void;
  readonly timer: NodeJS.Timeout;
}

/** Bounds how many of something are under way at once; first come, first served. */
export class Places {
  readonly #waitingMax: number;
  readonly #line = new Set<Waiter>();
  #free: number;

  /** @param max under way at once @param waitingMax who comes when so many wait is turned away */
  constructor(max: number, waitingMax: number) {
    this.#free = max;
    this.#waitingMax = waitingMax;
  }

  /** @returns how to leave again; null when no place became free in time, or too many wait */
  async take(untilMs: DeadlineMs): Promise<(() => void) | null> {
    if (this.#free > 0) this.#free -= 1;
    else if (!(await this.#wait(untilMs))) return null;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      // Handed over directly, so that nobody who comes just now gets in first.
      const [next] = this.#line;
      if (next === undefined) this.#free += 1;
      else next.enter();
    };
  }

  #wait(untilMs: DeadlineMs): Promise<boolean> {
    const waitMs = untilMs - performance.now();
    if (waitMs <= 0 || this.#line.size >= this.#waitingMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (entered: boolean): void => {
        clearTimeout(waiter.timer);
        this.#line.delete(waiter);
        resolve(entered);
      };
      const waiter: Waiter = { enter: () => end(true), timer: setTimeout(() => end(false), waitMs) };
      this.#line.add(waiter);
    });
  }
}
