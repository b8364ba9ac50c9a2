import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { OutcomeOf } from '../../core/outcome.ts';

/** One operation on its way to its shard. */
export interface Errand {
  readonly operation: Batchable;
  readonly sku_ids: readonly string[];
  readonly deadlineMs: DeadlineMs;
  resolve(outcome: OutcomeOf<Batchable>): void;
  reject(error: unknown): void;
}

/** Lines that go together at most: more add latency and no speed. An order of more goes alone. */
const LINES_MAX = 512;

/**
 * Operations that wait for a batch, in the order of their coming. SKUs that somebody keeps locked are marked: each goes
 * alone then, so that it holds up no other.
 */
export class BatchQueue {
  #waiting: Errand[] = [];
  readonly #locked = new Set<string>();

  get length(): number {
    return this.#waiting.length;
  }

  add(errand: Errand): void {
    this.#waiting.push(errand);
  }

  /** Puts back what was taken, before all others. */
  putBack(errands: readonly Errand[]): void {
    this.#waiting.unshift(...errands);
  }

  lock(sku_ids: Iterable<string>): void {
    for (const sku_id of sku_ids) this.#locked.add(sku_id);
  }

  unlock(sku_ids: Iterable<string>): void {
    for (const sku_id of sku_ids) this.#locked.delete(sku_id);
  }

  isLocked(sku_id: string): boolean {
    return this.#locked.has(sku_id);
  }

  /** Takes out those who have too little time left to be served. */
  takeExpired(latestMs: DeadlineMs): Errand[] {
    const expired = this.#waiting.filter(({ deadlineMs }) => deadlineMs < latestMs);
    if (expired.length > 0) this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs >= latestMs);
    return expired;
  }

  /**
   * Takes out the next batch.
   *
   * @param isBusy whether a batch with the SKU is on its way; what names it waits
   * @param lockedToo whether a locked SKU may go now
   */
  takeBatch(isBusy: (sku_id: string) => boolean, lockedToo: boolean): Errand[] {
    const taken: Errand[] = [];
    const left: Errand[] = [];
    let lines = 0;
    let locked: string | undefined;
    for (const errand of this.#waiting) {
      const lockedHere = this.#locked.size === 0 ? undefined : errand.sku_ids.find((sku_id) => this.#locked.has(sku_id));
      const fits = taken.length === 0 ? lockedToo || lockedHere === undefined : lockedHere === locked && lines + errand.sku_ids.length <= LINES_MAX;
      if (!fits || errand.sku_ids.some(isBusy)) {
        left.push(errand);
        continue;
      }
      if (taken.length === 0) locked = lockedHere;
      taken.push(errand);
      lines += errand.sku_ids.length;
    }
    this.#waiting = left;
    return taken;
  }
}
