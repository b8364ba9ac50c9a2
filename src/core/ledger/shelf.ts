import { STOCK_LIMIT } from '../nouns.ts';
import type { Verdict } from '../nouns.ts';

/** A stock row as it was read; `isOnSale` and `isSellable` by the clock of its shard. */
export interface ShelfRow {
  /** The one to be named by who writes new ids to it, if it is open. */
  readonly epoch: number;
  readonly isOpen: boolean;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly isOnSale: boolean;
  /** False for a while after units came into a row that had none: they count as absent for who wants them. */
  readonly isSellable: boolean;
}

/** What a shelf's row must be for a change to stand, and what becomes of it. */
export interface ShelfChange {
  readonly sku_id: string;
  readonly sub_row: number;
  /** Added to `leaved_amount`; below zero when more is taken than comes in. */
  readonly leaved: number;
  /** Added to `held_amount`. */
  readonly held: number;
  /** The row must have at least this much left. */
  readonly leavedMin: number;
  /** Left and held together must be at most this. */
  readonly totalMax: number;
  readonly mustBeOnSale: boolean;
  /** Units come in that lay in no row before. */
  readonly bringsNew: boolean;
  readonly mustBeSellable: boolean;
  /** The layout in which the row must be open; null: whatever comes in finds its place in a closed one too. */
  readonly epoch: number | null;
}

/**
 * One stock row while a batch is decided. It keeps count of what the row must have been for every decision so
 * far, so the same decisions hold for any row within these bounds: another gateway may have changed it meanwhile.
 */
export class Shelf {
  readonly #sku_id: string;
  readonly #sub_row: number;
  /** Null when nobody has looked: there is enough of everything then, until the shard says otherwise. */
  readonly #row: ShelfRow | null;
  #leaved = 0;
  #held = 0;
  #leavedMin = 0;
  #totalMax = STOCK_LIMIT;
  #mustBeOnSale = false;
  #mustBeSellable = false;
  /** Units that came in and lay in no row before: nobody gets them in the batch that brings them, the row may have had nothing. */
  #new = 0;
  #epoch: number | null = null;
  #isChanged = false;

  constructor(sku_id: string, sub_row: number, row: ShelfRow | null) {
    this.#sku_id = sku_id;
    this.#sub_row = sub_row;
    this.#row = row;
  }

  /** Whether the row takes new ids in a layout. */
  isAt(epoch: number): boolean {
    // Of a row that nobody has looked at one layout is asserted, whoever named it first.
    if (this.#row === null) return this.#epoch === null || this.#epoch === epoch;
    return this.#row.isOpen && this.#row.epoch === epoch;
  }

  /** Ids were entered that only count if the row is open in this layout. */
  fence(epoch: number): void {
    this.#epoch = epoch;
    this.#isChanged = true;
  }

  /** Whether something was decided that is not written yet: what is refused now might not be, when that fails. */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  get isOnSale(): boolean {
    return this.#row?.isOnSale ?? true;
  }

  /** Units that can be taken; null while nobody has looked. */
  get leaved(): number | null {
    return this.#row === null ? null : this.#sellable(this.#row);
  }

  /** Whether so many can be taken, to be sold or to be brought to where they are. */
  has(units: number): boolean {
    return this.#row === null || this.#sellable(this.#row) >= units;
  }

  /** Units in the row that can be written off; null: the row was not read. */
  get lying(): number | null {
    return this.#row === null ? null : this.#row.leaved_amount + this.#leaved - this.#new;
  }

  /** Whether so many lie there, for who wants them off the shelf and not sold. */
  hasLying(units: number): boolean {
    return this.lying === null || this.lying >= units;
  }

  /** Whether there would be enough if all that carts hold came back. */
  hasWithHeld(units: number): boolean {
    return this.#row === null || this.#sellable(this.#row) + this.#row.held_amount + this.#held >= units;
  }

  #sellable({ leaved_amount, isSellable }: ShelfRow): number {
    return (isSellable ? leaved_amount : 0) + this.#leaved - this.#new;
  }

  /**
   * Whether the row itself stays within the limit, with the units that carts hold: they may come back. The stock limit
   * of a SKU bounds this, so it refuses only where older gateways brought a SKU above the limit.
   */
  hasRoomFor(units: number): boolean {
    if (this.#row === null) return true;
    // Units that a batch moves from held to left cancel out before they meet an amount near 2^53: the sum is exact.
    return this.#row.leaved_amount + this.#row.held_amount + (this.#leaved + this.#held) <= STOCK_LIMIT - units;
  }

  sell(units: number): void {
    this.sendAway(units);
    this.#mustBeOnSale = true;
  }

  /** Takes units that may be sold, to be sold elsewhere. */
  sendAway(units: number): void {
    // What is covered by what came in with it needs nothing of the row.
    if (units > this.#leaved - this.#new) this.#mustBeSellable = true;
    this.#take(units);
  }

  hold(units: number): void {
    this.sell(units);
    this.#held += units;
  }

  writeOff(units: number): void {
    this.#take(units);
  }

  /** Units come in that lay in no row before. */
  addNew(units: number): void {
    this.add(units);
    this.#new += units;
  }

  add(units: number): void {
    // Both amounts move by what was decided before; the bound is on the row as it lies in the shard.
    // What was taken before may lift the bound above 2^53, where numbers are rounded; the lesser of the two is exact.
    this.#totalMax = Math.min(this.#totalMax, STOCK_LIMIT - (units + this.#leaved + this.#held));
    this.#leaved += units;
    this.#isChanged = true;
  }

  /** Units that were held are sold, or come back. */
  settle(units: number, verdict: Verdict): void {
    this.#held -= units;
    if (verdict === 'aborted') this.#leaved += units;
    this.#isChanged = true;
  }

  /** @returns what is to be written, or null when nothing was decided */
  change(): ShelfChange | null {
    if (!this.#isChanged) return null;
    return {
      sku_id: this.#sku_id,
      sub_row: this.#sub_row,
      leaved: this.#leaved,
      held: this.#held,
      leavedMin: this.#leavedMin,
      totalMax: this.#totalMax,
      mustBeOnSale: this.#mustBeOnSale,
      bringsNew: this.#new > 0,
      mustBeSellable: this.#mustBeSellable,
      epoch: this.#epoch,
    };
  }

  #take(units: number): void {
    this.#leavedMin = Math.max(this.#leavedMin, units - this.#leaved + this.#new);
    this.#leaved -= units;
    this.#isChanged = true;
  }
}
