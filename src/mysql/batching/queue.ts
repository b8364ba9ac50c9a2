import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { Shard } from '../shard.ts';

/** One operation on its way to its shard. */
export interface Errand {
  readonly shard: Shard;
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

  /** @returns false when too many wait for the shard already */
  add(errand: Errand): boolean {
    if (!errand.shard.batchRoom.enter()) return false;
    this.#waiting.push(errand);
    return true;
  }

  /** Puts back what was taken, before all others and above the bound. */
  putBack(errands: readonly Errand[]): void {
    if (errands.length === 0) return;
    for (const { shard } of errands) shard.batchRoom.enter(Infinity);
    this.#waiting = [...errands, ...this.#waiting];
  }

  lock(sku_ids: Iterable<string>): void {
    for (const sku_id of sku_ids) this.#locked.add(sku_id);
  }

  unlock(sku_ids: Iterable<string>): void {
    for (const sku_id of sku_ids) this.#locked.delete(sku_id);
  }

  /** Takes out those who have too little time left to be served. */
  takeExpired(latestMs: DeadlineMs): Errand[] {
    if (this.#waiting.every(({ deadlineMs }) => deadlineMs >= latestMs)) return [];
    const expired = this.#waiting.filter(({ deadlineMs }) => deadlineMs < latestMs);
    this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs >= latestMs);
    for (const { shard } of expired) shard.batchRoom.leave();
    return expired;
  }

  /**
   * Takes out the next batch: what all rides together, or what belongs to one trouble.
   *
   * @param isBusy whether a batch with the SKU is on its way; what names it waits
   * @param troubledToo whether what would hold others up may go now
   */
  takeBatch(isBusy: (sku_id: string) => boolean, troubledToo: boolean): Errand[] {
    const taken: Errand[] = [];
    const left: Errand[] = [];
    let lines = 0;
    let trouble: string | Shard | null = null;
    for (const errand of this.#waiting) {
      const ofErrand = this.troubleOf(errand);
      const fits = taken.length === 0 ? troubledToo || ofErrand === null : ofErrand === trouble && lines + errand.sku_ids.length <= LINES_MAX;
      if (!fits || errand.sku_ids.some(isBusy)) {
        left.push(errand);
        continue;
      }
      trouble = ofErrand;
      taken.push(errand);
      lines += errand.sku_ids.length;
      errand.shard.batchRoom.leave();
    }
    this.#waiting = left;
    return taken;
  }

  /** What sets an errand apart from those that ride together: a locked SKU, or a shard that is not served now. */
  troubleOf({ shard, sku_ids }: Errand): string | Shard | null {
    if (!shard.isServing) return shard;
    return this.#locked.size === 0 ? null : (sku_ids.find((sku_id) => this.#locked.has(sku_id)) ?? null);
  }
}
