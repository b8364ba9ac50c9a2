/** What somebody names, and the part of all places, above 0 up to 1, that those who name it may have: at least one place. */
export type Shares = ReadonlyMap<string, number>;

const NOTHING: Shares = new Map();

/** Those who are together where there is room for so many, counted by what they name. */
export class Crowd {
  readonly #max: number;
  readonly #counts = new Map<string, number>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get isFull(): boolean {
    return this.#size >= this.#max;
  }

  /**
   * Finds something whose share is taken, so that nobody who names it may join.
   *
   * @param kept of each of these one more counts as taken
   * @param likely looked at first: who names a thousand things mostly waits for the same one as when he asked before
   * @returns null when all that is named has room
   */
  findTaken(shares: Shares, kept: Shares = NOTHING, likely: string | null = null): string | null {
    const isTaken = (name: string): boolean => {
      const count = (this.#counts.get(name) ?? 0) + (kept.has(name) ? 1 : 0);
      return count >= Math.max(1, Math.floor(this.#max * (shares.get(name) ?? 1)));
    };
    if (likely !== null && isTaken(likely)) return likely;
    for (const name of shares.keys()) if (isTaken(name)) return name;
    return null;
  }

  join(shares: Shares): void {
    this.#size += 1;
    for (const name of shares.keys()) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Undoes one `join` with the same shares. */
  leave(shares: Shares): void {
    this.#size -= 1;
    for (const name of shares.keys()) {
      const rest = (this.#counts.get(name) ?? 0) - 1;
      if (rest > 0) this.#counts.set(name, rest);
      else this.#counts.delete(name);
    }
  }
}
