import { STOCK_LIMIT } from '../types.ts';
import type { CommitDecision } from '../types.ts';

/** A stock row as it was read. `isOnSale` and `isSellable` are by the clock of its shard. */
export interface LedgerStockRow {
  /** The epoch that a write of new ids to this row must name, if the row is open. */
  readonly epoch: number;
  readonly isOpen: boolean;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly isOnSale: boolean;
  /** False during the restock delay, after units came into an empty row: orders must not take them yet. */
  readonly isSellable: boolean;
}

/** A change of a stock row, and the conditions on the row under which it is valid. */
export interface StockRowChange {
  readonly sku_id: string;
  readonly sub_row: number;
  /** Added to `leaved_amount`; below zero when more units are taken than come in. */
  readonly leaved: number;
  /** Added to `held_amount`. */
  readonly held: number;
  /** The row must have at least this much left. */
  readonly leavedMin: number;
  /** Left and held together must be at most this. */
  readonly totalMax: number;
  readonly mustBeOnSale: boolean;
  /** Units come in that were in no row before. */
  readonly bringsNew: boolean;
  readonly mustBeSellable: boolean;
  /** The epoch in which the row must be open; null: the row may be closed, because the change enters no new id. */
  readonly epoch: number | null;
}

/**
 * The draft of one stock row while a batch is decided. It keeps the bounds that the row must meet for every decision so
 * far. The decisions hold for every row within these bounds, so another gateway may change the row in the meantime.
 */
export class StockRowDraft {
  readonly #sku_id: string;
  readonly #sub_row: number;
  /** Null: the row was not read. Then it is guessed to have enough units, and the shard checks that. */
  readonly #row: LedgerStockRow | null;
  #leaved = 0;
  #held = 0;
  #leavedMin = 0;
  #totalMax = STOCK_LIMIT;
  #mustBeOnSale = false;
  #mustBeSellable = false;
  /**
   * Units that came in and were in no row before. No operation of the same batch may take them, because the row may
   * have been empty, and then the restock delay applies to them.
   */
  #new = 0;
  #epoch: number | null = null;
  #isChanged = false;

  constructor(sku_id: string, sub_row: number, row: LedgerStockRow | null) {
    this.#sku_id = sku_id;
    this.#sub_row = sub_row;
    this.#row = row;
  }

  /** Whether the row takes new ids in a layout. */
  isOpenAt(epoch: number): boolean {
    // A row that was not read is asserted to be in one layout: the first one that an operation named.
    if (this.#row === null) return this.#epoch === null || this.#epoch === epoch;
    return this.#row.isOpen && this.#row.epoch === epoch;
  }

  /** Records that new ids were entered, which requires that the row is open in this epoch. */
  fence(epoch: number): void {
    this.#epoch = epoch;
    this.#isChanged = true;
  }

  /**
   * Whether the draft has changes that are not written yet. If their write fails, a refusal based on them may be wrong.
   */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  get isOnSale(): boolean {
    return this.#row?.isOnSale ?? true;
  }

  /** Units that can be taken; null: the row was not read. */
  get leaved(): number | null {
    return this.#row === null ? null : this.#sellable(this.#row);
  }

  /** Whether so many units can be taken, for an order or for a transfer. */
  has(units: number): boolean {
    return this.#row === null || this.#sellable(this.#row) >= units;
  }

  /** Units in the row that can be written off; null: the row was not read. */
  get unitsInRow(): number | null {
    return this.#row === null ? null : this.#row.leaved_amount + this.#leaved - this.#new;
  }

  /** Whether so many units can be written off. */
  hasInRow(units: number): boolean {
    return this.unitsInRow === null || this.unitsInRow >= units;
  }

  /** Whether there would be enough units if all holds of carts were undone. */
  hasWithHeld(units: number): boolean {
    return this.#row === null || this.#sellable(this.#row) + this.#row.held_amount + this.#held >= units;
  }

  #sellable({ leaved_amount, isSellable }: LedgerStockRow): number {
    return (isSellable ? leaved_amount : 0) + this.#leaved - this.#new;
  }

  /**
   * Whether the row stays within the limit with so many units more. The units that carts hold count too, because they
   * may come back. The stock limit of a SKU bounds this sum, so the answer is false only if older gateways have raised
   * a SKU above the limit.
   */
  hasRoomFor(units: number): boolean {
    if (this.#row === null) return true;
    // The changes are added up first: units that move from held to left cancel out, so the sum near 2^53 is exact.
    return this.#row.leaved_amount + this.#row.held_amount + (this.#leaved + this.#held) <= STOCK_LIMIT - units;
  }

  sell(units: number): void {
    this.sendAway(units);
    this.#mustBeOnSale = true;
  }

  /** Takes sellable units for a transfer to another row. */
  sendAway(units: number): void {
    // Units that came in by transfer in the same batch are used first. Only more than those need a sellable row.
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

  /** Adds units that were in no row before. */
  addNew(units: number): void {
    this.add(units);
    this.#new += units;
  }

  add(units: number): void {
    // The bound is on the row as the shard has it, so earlier changes of both amounts are subtracted from it.
    // Earlier debits may lift the bound above 2^53, where numbers are rounded. The smaller of the two bounds is exact.
    this.#totalMax = Math.min(this.#totalMax, STOCK_LIMIT - (units + this.#leaved + this.#held));
    this.#leaved += units;
    this.#isChanged = true;
  }

  /** Completes a hold: its units are sold, or are left again. */
  settle(units: number, decision: CommitDecision): void {
    this.#held -= units;
    if (decision === 'aborted') this.#leaved += units;
    this.#isChanged = true;
  }

  /** @returns the change to write; null: there is none */
  change(): StockRowChange | null {
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
