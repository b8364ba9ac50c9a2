import type { Sale, CommitDecision } from '../../../src/core/types.ts';

/** The stock of one SKU in the oracle. */
export class OracleStockRow {
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

  /** The units left. */
  get leaved(): number {
    return this.#leaved;
  }

  /** Units that carts hold, and that may go back. */
  get held(): number {
    return this.#held;
  }

  /** The only read of a clock. Tests use times that are far from the present. */
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

  settle(units: number, decision: CommitDecision): void {
    this.#held -= units;
    if (decision === 'aborted') this.#leaved += units;
  }

  /** Deducted units come back. They always fit, because the limit bounds all units that were ever there. */
  giveBack(units: number): void {
    this.#leaved += units;
    if (BigInt(this.#leaved) + BigInt(this.#held) > this.#total)
      throw new Error('more units come back than were ever there');
  }

  /** @param delta in units, below zero for a write-off. @returns false, without a change, when it does not fit */
  adjust(delta: number): boolean {
    if (delta > 0 ? this.#total + BigInt(delta) > this.#limit : this.#leaved < -delta) return false;
    this.#total += BigInt(delta);
    this.#leaved += delta;
    return true;
  }
}
