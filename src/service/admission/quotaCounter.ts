/**
 * The names that an operation uses, such as its SKUs, each with its share. A share is the part of all admissions, from
 * 0 to 1, that operations with this name may have together. A share allows at least one admission.
 */
export type QuotaShares = ReadonlyMap<string, number>;

const NO_SHARES: QuotaShares = new Map();

/** Counts the admitted operations, in all and by name, against a maximum. */
export class QuotaCounter {
  readonly #max: number;
  readonly #shareMin: number;
  readonly #counts = new Map<string, number>();
  #size = 0;

  /** @param shareMin the smallest share of a name: a smaller one counts as this */
  constructor(max: number, shareMin = 0) {
    this.#max = max;
    this.#shareMin = shareMin;
  }

  get isFull(): boolean {
    return this.#size >= this.#max;
  }

  /**
   * Finds a name whose share is used up, so that no operation with it may join.
   *
   * @param kept names for which one more admission counts as used.
   * @param likely the name to check first: an operation with a thousand names mostly waits for the same name as before.
   * @returns null when no share is used up
   */
  findExhausted(shares: QuotaShares, kept: QuotaShares = NO_SHARES, likely: string | null = null): string | null {
    const isUsedUp = (name: string): boolean => {
      const count = (this.#counts.get(name) ?? 0) + (kept.has(name) ? 1 : 0);
      const share = Math.max(this.#shareMin, shares.get(name) ?? 1);
      return count >= Math.max(1, Math.floor(this.#max * share));
    };
    if (likely !== null && isUsedUp(likely)) return likely;
    for (const name of shares.keys()) if (isUsedUp(name)) return name;
    return null;
  }

  join(shares: QuotaShares): void {
    this.#size += 1;
    for (const name of shares.keys()) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Undoes one `join` with the same shares. */
  leave(shares: QuotaShares): void {
    this.#size -= 1;
    for (const name of shares.keys()) {
      const rest = (this.#counts.get(name) ?? 0) - 1;
      if (rest > 0) this.#counts.set(name, rest);
      else this.#counts.delete(name);
    }
  }
}
