import { differenceKey } from './reconciliation.ts';
import type { DifferenceKind, StockDifference } from './reconciliation.ts';

/** The differences of a shard that were found and were still there when they were last read. */
export class OpenDifferences {
  readonly #open = new Map<string, StockDifference>();

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Adds differences. @returns those that were not known */
  add(differences: readonly StockDifference[]): readonly StockDifference[] {
    const found = differences.filter((difference) => !this.#open.has(differenceKey(difference)));
    for (const difference of differences) this.#open.set(differenceKey(difference), difference);
    return found;
  }

  /** Some of the differences, those that were added or read longest ago first. */
  oldest(max: number): readonly StockDifference[] {
    return [...this.#open.values()].slice(0, max);
  }

  /**
   * Replaces differences by what reading them again showed.
   *
   * @param read that were read again
   * @param present those that are still there, with their present numbers
   * @returns those that are gone
   */
  replace(read: readonly StockDifference[], present: readonly StockDifference[]): readonly StockDifference[] {
    const left = new Map(present.map((difference) => [differenceKey(difference), difference]));
    const gone: StockDifference[] = [];
    for (const difference of read) {
      const key = differenceKey(difference);
      this.#open.delete(key);
      const now = left.get(key);
      if (now === undefined) gone.push(difference);
      else this.#open.set(key, now);
    }
    return gone;
  }

  /** The number of each kind that there is. */
  counts(): ReadonlyMap<DifferenceKind, number> {
    const counts = new Map<DifferenceKind, number>();
    for (const { kind } of this.#open.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }
}
