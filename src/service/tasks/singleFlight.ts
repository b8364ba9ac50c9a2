import type { DeadlineMs } from '../../core/types.ts';

/**
 * Runs the same work once for all callers that asked before it began. A caller that comes while it is under way may
 * know of a change that the work has not seen. Such a caller shares the answer only if the answer is final. If it is
 * not, the work runs once more, for all such callers together.
 */
export class SingleFlight<T> {
  readonly #isFinal: (answer: T) => boolean;
  readonly #running = new Map<string, Promise<T>>();
  readonly #next = new Map<string, Promise<T>>();

  /** @param isFinal whether an answer can never change */
  constructor(isFinal: (answer: T) => boolean) {
    this.#isFinal = isFinal;
  }

  /**
   * @param key equal for all callers that may share an answer
   * @param deadlineMs how long this caller waits; the work continues for the others
   * @returns null when the deadline passed
   * @throws the error of the work
   */
  async run(key: string, deadlineMs: DeadlineMs, work: () => Promise<T>): Promise<T | null> {
    let timer: NodeJS.Timeout | undefined;
    const isLate = new Promise<null>(
      (resolve) => (timer = setTimeout(() => resolve(null), deadlineMs - performance.now())),
    );
    return Promise.race([this.#join(key, work), isLate]).finally(() => clearTimeout(timer));
  }

  #join(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running === undefined) return this.#begin(key, work);
    const next = this.#next.get(key) ?? this.#after(running, key, work);
    this.#next.set(key, next);
    return next;
  }

  async #after(running: Promise<T>, key: string, work: () => Promise<T>): Promise<T> {
    const [ended] = await Promise.allSettled([running]);
    if (ended.status === 'fulfilled' && this.#isFinal(ended.value)) return ended.value;
    // A later caller may have begun the work already.
    return this.#running.get(key) ?? this.#begin(key, work);
  }

  #begin(key: string, work: () => Promise<T>): Promise<T> {
    const current = work().finally(() => {
      this.#running.delete(key);
      this.#next.delete(key);
    });
    this.#running.set(key, current);
    return current;
  }
}
