import type { Sale, Verdict } from '../../src/core/nouns.ts';

/** What the oracle knows of the stock of one SKU. */
export class OracleShelf {
  readonly opening: number;
  readonly #limit: number;
  #leaved: number;
  #held = 0;
  #state: 'on' | 'paused' = 'on';
  #from: string | null = null;

  constructor(opening: number, limit: number) {
    this.opening = opening;
    this.#leaved = opening;
    this.#limit = limit;
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

  /** What is held needs its place too: it may come back. */
  hasRoomFor(units: number): boolean {
    return this.#leaved + this.#held <= this.#limit - units;
  }

  /** @param units below zero for a write-off. @returns false when they do not fit; nothing changed then */
  add(units: number): boolean {
    if (units > 0 ? !this.hasRoomFor(units) : this.#leaved < -units) return false;
    this.#leaved += units;
    return true;
  }
}
