import type { DeadlineMs } from '../core/nouns.ts';

/**
 * Does what many want at once only once, for all who wanted it before it began. Whoever comes while it is under way may
 * know of something that it has not seen, so its answer is theirs only where nothing can change it; otherwise it is done
 * once more, for all of them together.
 */
export class Sharing<T> {
  readonly #isFinal: (answer: T) => boolean;
  readonly #running = new Map<string, Promise<T>>();
  readonly #next = new Map<string, Promise<T>>();

  /** @param isFinal whether an answer stays true for good */
  constructor(isFinal: (answer: T) => boolean) {
    this.#isFinal = isFinal;
  }

  /**
   * @param key the same for all whom one answer serves
   * @param deadlineMs how long this caller waits; the work goes on for the others
   * @returns null when the deadline passed; throws what the work threw
   */
  async do(key: string, deadlineMs: DeadlineMs, work: () => Promise<T>): Promise<T | null> {
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
    // Somebody who came just now may have begun it.
    return this.#running.get(key) ?? this.#begin(key, work);
  }

  #begin(key: string, work: () => Promise<T>): Promise<T> {
    const one = work().finally(() => {
      this.#running.delete(key);
      this.#next.delete(key);
    });
    this.#running.set(key, one);
    return one;
  }
}
