import { differenceKey } from './reconciliation.ts';
import type { DifferenceKind, StockDifference } from './reconciliation.ts';

/** A range of keys that was compared, in hexadecimal digits: above `afterHex`, and up to `lastHex`. */
export interface ComparedRange {
  /** Null: from the first key. */
  readonly afterHex: string | null;
  /** Null: to the last key. */
  readonly lastHex: string | null;
}

/** What changed when a range was compared again. */
export interface DifferenceChanges {
  readonly found: readonly StockDifference[];
  readonly gone: readonly StockDifference[];
}

/**
 * The differences that one walk over the rows of a shard has found and that were still there when their rows were last
 * compared.
 */
export class OpenDifferences {
  readonly #open = new Map<string, StockDifference>();
  readonly #keyHexOf: (difference: StockDifference) => string;

  /** @param keyHexOf the key by which the walk finds a difference, in hexadecimal digits */
  constructor(keyHexOf: (difference: StockDifference) => string) {
    this.#keyHexOf = keyHexOf;
  }

  /**
   * Replaces what is known of a range by what its last comparison found.
   *
   * @param isComplete false: not all rows were read, so what was not found again is kept
   */
  replace(
    { afterHex, lastHex }: ComparedRange,
    differences: readonly StockDifference[],
    isComplete: boolean,
  ): DifferenceChanges {
    const present = new Map(differences.map((difference) => [differenceKey(difference), difference]));
    const found = [...present].flatMap(([key, difference]) => (this.#open.has(key) ? [] : [difference]));
    const gone: StockDifference[] = [];
    for (const [key, difference] of this.#open) {
      const keyHex = this.#keyHexOf(difference);
      const isCompared = keyHex > (afterHex ?? '') && (lastHex === null || keyHex <= lastHex);
      if (!isComplete || !isCompared || present.has(key)) continue;
      this.#open.delete(key);
      gone.push(difference);
    }
    for (const [key, difference] of present) this.#open.set(key, difference);
    return { found, gone };
  }

  /** The number of each kind that there is. */
  counts(): ReadonlyMap<DifferenceKind, number> {
    const counts = new Map<DifferenceKind, number>();
    for (const { kind } of this.#open.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }
}
