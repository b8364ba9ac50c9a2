import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { Shard } from '../shard.ts';
import { LINES_MAX } from './largestPacket.ts';

/** One operation on its way to its shard. */
export interface Errand {
  readonly shard: Shard;
  readonly operation: Batchable;
  /** The stock rows it goes to, as `shelfKeyText`. */
  readonly shelves: readonly string[];
  readonly deadlineMs: DeadlineMs;
  resolve(outcome: OutcomeOf<Batchable>): void;
  reject(error: unknown): void;
}

/** A SKU that somebody keeps locked. */
export interface LockedRow {
  readonly shelf: string;
  /** False when it only was in a batch that met a lock. */
  readonly isSure: boolean;
  readonly untilMs: DeadlineMs;
}

/** So long a SKU counts as locked at most: if it still is, that is found out again. */
const LOCKED_MS = 10_000;
/** Marked at most; then all are forgotten. */
const LOCKED_MAX = 10_000;

/**
 * What rides together: what can be decided without looking; what must be looked at first, so that it does not hold up the
 * others; what is for one shard that is not served now; what names one locked SKU.
 */
export type Company = 'guessed' | 'looked up' | Shard | LockedRow;

/**
 * Operations that wait for a batch, in the order of their coming. SKUs that somebody keeps locked are marked: each goes
 * alone then, so that it holds up no other.
 */
export class BatchQueue {
  #waiting: Errand[] = [];
  readonly #locked = new Map<string, LockedRow>();
  readonly #canGuess: (operation: Batchable) => boolean;
  readonly #linesMax: number;

  /** @param canGuess whether an operation may be decided without looking */
  constructor(canGuess: (operation: Batchable) => boolean, linesMax = LINES_MAX) {
    this.#canGuess = canGuess;
    this.#linesMax = linesMax;
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

  lock(shelves: Iterable<string>, isSure: boolean): void {
    const untilMs = performance.now() + LOCKED_MS;
    if (this.#locked.size > LOCKED_MAX) this.#locked.clear();
    for (const shelf of shelves) this.#locked.set(shelf, { shelf, isSure, untilMs });
  }

  /** Takes marks off: of SKUs that were written all, of others only those that were made in doubt. */
  unlock(shelves: Iterable<string>, isWritten: boolean): void {
    if (this.#locked.size === 0) return;
    for (const shelf of shelves) if (isWritten || this.#locked.get(shelf)?.isSure === false) this.#locked.delete(shelf);
  }

  /** Takes out those who have too little time left to be served. */
  takeExpired(latestMs: DeadlineMs): Errand[] {
    return this.#takeOut(({ deadlineMs }) => deadlineMs < latestMs);
  }

  /** Takes out those who name one of some SKUs and have too little time left. */
  takeNaming(shelves: ReadonlySet<string>, latestMs: DeadlineMs): Errand[] {
    return this.#takeOut(
      (errand) => errand.deadlineMs < latestMs && errand.shelves.some((shelf) => shelves.has(shelf)),
    );
  }

  #takeOut(isMeant: (errand: Errand) => boolean): Errand[] {
    if (!this.#waiting.some(isMeant)) return [];
    const taken = this.#waiting.filter(isMeant);
    this.#waiting = this.#waiting.filter((errand) => !isMeant(errand));
    for (const { shard } of taken) shard.batchRoom.leave();
    return taken;
  }

  /**
   * Takes out the next batch: the first errand that may go, and those of its company.
   *
   * @param isBusy whether a batch with the SKU is on its way; what names it waits
   * @param mayGo whether a batch of that company may leave now
   */
  takeBatch(
    isBusy: (shelf: string) => boolean,
    mayGo: (company: Company) => boolean,
  ): { readonly errands: readonly Errand[]; readonly company: Company } {
    const taken: Errand[] = [];
    const left: Errand[] = [];
    let lines = 0;
    let company: Company = 'guessed';
    const unsure = this.#unsureRows();
    for (const errand of this.#waiting) {
      const ofErrand = this.#companyOf(errand, unsure);
      const fits =
        taken.length === 0 ? mayGo(ofErrand) : ofErrand === company && lines + errand.shelves.length <= this.#linesMax;
      if (!fits || errand.shelves.some(isBusy)) {
        left.push(errand);
        continue;
      }
      company = ofErrand;
      taken.push(errand);
      lines += errand.shelves.length;
      errand.shard.batchRoom.leave();
    }
    this.#waiting = left;
    return { errands: taken, company };
  }

  /** SKUs that somebody who waits must look at. All who name them go along: first come, first served. */
  #unsureRows(): ReadonlySet<string> {
    const unsure = new Set<string>();
    for (const { operation, shelves } of this.#waiting)
      if (!this.#canGuess(operation)) for (const shelf of shelves) unsure.add(shelf);
    return unsure;
  }

  #companyOf({ shard, shelves }: Errand, unsure: ReadonlySet<string>): Company {
    if (!shard.isServing) return shard;
    const locked = this.#locked.size === 0 ? undefined : this.#lockedOf(shelves);
    if (locked !== undefined) return locked;
    return unsure.size > 0 && shelves.some((shelf) => unsure.has(shelf)) ? 'looked up' : 'guessed';
  }

  #lockedOf(shelves: readonly string[]): LockedRow | undefined {
    for (const shelf of shelves) {
      const locked = this.#locked.get(shelf);
      if (locked === undefined) continue;
      if (locked.untilMs > performance.now()) return locked;
      this.#locked.delete(shelf);
    }
    return undefined;
  }
}
