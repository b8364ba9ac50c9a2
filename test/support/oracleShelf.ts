import type { Sale, Verdict } from '../../src/core/nouns.ts';

/** What the oracle knows of the stock of one SKU. */
export class OracleShelf {
  readonly opening: number;
  readonly #limit: bigint;
  /** Opening stock plus all adjustments. */
  #total: bigint;
  #leaved: number;
  #held = 0;
  #state: 'on' | 'paused' = 'on';
  #from: string | null = null;

  constructor(opening: number, limit: number) {
    this.opening = opening;
    this.#leaved = opening;
    this.#total = BigInt(opening);
    this.#limit = BigInt(limit);
  }

  /** Units that can be taken. */
  get leaved(): number {
    return this.#leaved;
  }

  /** Units that carts took and that may come back. */
  get held(): number {
    return this.#held;
  }

  /** The only look at a clock; tests keep far away from the moment itself. */
  isOnSale(): boolean {
    return this.#state === 'on' && (this.#from === null || this.#from <= new Date().toISOString());
  }

  get sale(): Sale {
    return { state: this.#state, from: this.#state === 'on' ? this.#from : null };
  }

  sell(state: 'on' | 'paused', from: string | null): void {
    this.#state = state;
    this.#from = from;
  }

  take(units: number, isHold: boolean): void {
    if (units > this.#leaved) throw new Error('the oracle would oversell');
    this.#leaved -= units;
    if (isHold) this.#held += units;
  }

  settle(units: number, verdict: Verdict): void {
    this.#held -= units;
    if (verdict === 'aborted') this.#leaved += units;
  }

  /** Units that were deducted come back: there is room for them, because the limit bounds what was ever there. */
  giveBack(units: number): void {
    this.#leaved += units;
    if (BigInt(this.#leaved) + BigInt(this.#held) > this.#total) throw new Error('more comes back than was there');
  }

  /** @param delta in units, below zero for a write-off. @returns false when it does not fit; nothing changed then */
  adjust(delta: number): boolean {
    if (delta > 0 ? this.#total + BigInt(delta) > this.#limit : this.#leaved < -delta) return false;
    this.#total += BigInt(delta);
    this.#leaved += delta;
    return true;
  }
}
