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

/** A SKU that somebody keeps locked. */
export interface LockedSku {
  readonly sku_id: string;
}

/**
 * What rides together: what can be decided without looking; what must be looked at first, so that it does not hold up the
 * others; what is for one shard that is not served now; what names one locked SKU.
 */
export type Company = 'guessed' | 'looked up' | Shard | LockedSku;

/** Lines that go together at most: more add latency and no speed. An order of more goes alone. */
const LINES_MAX = 512;

/**
 * Operations that wait for a batch, in the order of their coming. SKUs that somebody keeps locked are marked: each goes
 * alone then, so that it holds up no other.
 */
export class BatchQueue {
  #waiting: Errand[] = [];
  readonly #locked = new Map<string, LockedSku>();
  readonly #canGuess: (operation: Batchable) => boolean;

  /** @param canGuess whether an operation may be decided without looking */
  constructor(canGuess: (operation: Batchable) => boolean) {
    this.#canGuess = canGuess;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

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
    for (const sku_id of sku_ids) this.#locked.set(sku_id, { sku_id });
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
   * Takes out the next batch: the first errand that may go, and those of its company.
   *
   * @param isBusy whether a batch with the SKU is on its way; what names it waits
   * @param mayGo whether a batch of that company may leave now
   */
  takeBatch(isBusy: (sku_id: string) => boolean, mayGo: (company: Company) => boolean): { readonly errands: readonly Errand[]; readonly company: Company } {
    const taken: Errand[] = [];
    const left: Errand[] = [];
    let lines = 0;
    let company: Company = 'guessed';
    const unsure = this.#unsureSkus();
    for (const errand of this.#waiting) {
      const ofErrand = this.#companyOf(errand, unsure);
      const fits = taken.length === 0 ? mayGo(ofErrand) : ofErrand === company && lines + errand.sku_ids.length <= LINES_MAX;
      if (!fits || errand.sku_ids.some(isBusy)) {
        left.push(errand);
        continue;
      }
      company = ofErrand;
      taken.push(errand);
      lines += errand.sku_ids.length;
      errand.shard.batchRoom.leave();
    }
    this.#waiting = left;
    return { errands: taken, company };
  }

  /** SKUs that somebody who waits must look at. All who name them go along: first come, first served. */
  #unsureSkus(): ReadonlySet<string> {
    const unsure = new Set<string>();
    for (const { operation, sku_ids } of this.#waiting) if (!this.#canGuess(operation)) for (const sku_id of sku_ids) unsure.add(sku_id);
    return unsure;
  }

  #companyOf({ shard, sku_ids }: Errand, unsure: ReadonlySet<string>): Company {
    if (!shard.isServing) return shard;
    const locked = this.#locked.size === 0 ? undefined : this.#lockedOf(sku_ids);
    if (locked !== undefined) return locked;
    return unsure.size > 0 && sku_ids.some((sku_id) => unsure.has(sku_id)) ? 'looked up' : 'guessed';
  }

  #lockedOf(sku_ids: readonly string[]): LockedSku | undefined {
    for (const sku_id of sku_ids) {
      const locked = this.#locked.get(sku_id);
      if (locked !== undefined) return locked;
    }
    return undefined;
  }
}
