import { flowKeyText, shelfKeyText, STOCK_LIMIT } from '../nouns.ts';
import type { Flow, FlowKey, Hold, Placed, Transfer } from '../nouns.ts';
import { Shelf } from './shelf.ts';
import type { ShelfChange, ShelfRow } from './shelf.ts';

/** A flow as far as decisions look at it. */
export type LedgerFlow = Pick<
  Flow,
  'sku_id' | 'order_detail_id' | 'order_id' | 'attempt' | 'quantity' | 'returned' | 'status' | 'sub_row' | 'moved_to'
>;

/** Which end of a transfer is meant. */
export type Direction = 'out' | 'in';

/** Rows as they stood together at one moment; null: it was looked for and is not there. What is absent was not looked for. */
export interface Reading {
  readonly flows: ReadonlyMap<string, LedgerFlow | null>;
  /** By `shelfKeyText`. */
  readonly shelves: ReadonlyMap<string, ShelfRow | null>;
  /** Units by `returnKeyText`. */
  readonly returns: ReadonlyMap<string, number | null>;
  /** Deltas by `adjustmentKeyText`. */
  readonly adjustments: ReadonlyMap<string, number | null>;
  /** Whether they stand, by `transferKeyText`. */
  readonly transfers: ReadonlyMap<string, boolean>;
  /** Opening stock plus all adjustments, in units, by `sku_id`; read for restocks. May be above `STOCK_LIMIT`. */
  readonly totals: ReadonlyMap<string, bigint>;
}

export interface FlowChange {
  /** As it must stand for the change to be right; null: not at all. */
  readonly was: LedgerFlow | null;
  readonly is: LedgerFlow;
}

export interface NewReturn extends FlowKey {
  readonly return_id: string;
  readonly quantity: number;
}

export interface NewAdjustment {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly reason: string | null;
}

export interface NewTransfer {
  readonly direction: Direction;
  readonly transfer: Transfer;
}

/** What is to be written, all or nothing. */
export interface WriteSet {
  readonly flows: readonly FlowChange[];
  readonly shelves: readonly ShelfChange[];
  readonly returns: readonly NewReturn[];
  readonly adjustments: readonly NewAdjustment[];
  readonly transfers: readonly NewTransfer[];
  /** Holds whose notes are struck out, where there are any. */
  readonly settled: readonly Hold[];
}

/**
 * The rows that a batch touches, as they were read or, where nobody looked, as they usually are: no flow stands and
 * there is enough on the shelf. Decisions change it, one after the other; what they rest on goes along with what is to
 * be written, so the shard finds out whether it was so.
 */
export class Ledger {
  readonly #reading: Reading;
  readonly #flows = new Map<string, FlowChange>();
  readonly #shelves = new Map<string, Shelf | null>();
  readonly #returns = new Map<string, NewReturn>();
  readonly #adjustments = new Map<string, NewAdjustment>();
  /** Net units of those, by `sku_id`. */
  readonly #adjustedBy = new Map<string, bigint>();
  readonly #transfers = new Map<string, NewTransfer>();
  readonly #settled: Hold[] = [];

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  /** Whether somebody looked for a flow and its SKU's stock row. */
  wasRead(key: FlowKey & Placed): boolean {
    return (
      this.#reading.shelves.has(shelfKeyText(key.sku_id, key.row?.sub_row ?? 0)) &&
      this.#reading.flows.has(flowKeyText(key))
    );
  }

  flow(key: FlowKey): LedgerFlow | null {
    const text = flowKeyText(key);
    return this.#flows.get(text)?.is ?? this.#reading.flows.get(text) ?? null;
  }

  setFlow(flow: LedgerFlow): void {
    const text = flowKeyText(flow);
    this.#flows.set(text, { was: this.#reading.flows.get(text) ?? null, is: flow });
  }

  /** Null for a row that is certainly not there. */
  shelf(sku_id: string, sub_row: number): Shelf | null {
    const key = shelfKeyText(sku_id, sub_row);
    let shelf = this.#shelves.get(key);
    if (shelf === undefined) {
      const row = this.#reading.shelves.get(key);
      shelf = row === null ? null : new Shelf(sku_id, sub_row, row ?? null);
      this.#shelves.set(key, shelf);
    }
    return shelf;
  }

  /** Units of a return that stands, or null. */
  returned(key: FlowKey, return_id: string): number | null {
    const text = returnKeyText(key, return_id);
    return this.#returns.get(text)?.quantity ?? this.#reading.returns.get(text) ?? null;
  }

  addReturn(entry: NewReturn): void {
    this.#returns.set(returnKeyText(entry, entry.return_id), entry);
  }

  /** The delta of an adjustment that stands, or null. */
  adjusted(sku_id: string, adjustment_id: string): number | null {
    const text = adjustmentKeyText(sku_id, adjustment_id);
    return this.#adjustments.get(text)?.delta ?? this.#reading.adjustments.get(text) ?? null;
  }

  /**
   * Whether opening stock plus all adjustments of a SKU, those of this batch among them, stay within `STOCK_LIMIT`
   * with so many units more. True for a SKU whose total was not read: its shard asserts the limit.
   */
  isWithinLimit(sku_id: string, units: number): boolean {
    const total = this.#reading.totals.get(sku_id);
    return total === undefined || total + (this.#adjustedBy.get(sku_id) ?? 0n) + BigInt(units) <= BigInt(STOCK_LIMIT);
  }

  addAdjustment(entry: NewAdjustment): void {
    this.#adjustments.set(adjustmentKeyText(entry.sku_id, entry.adjustment_id), entry);
    this.#adjustedBy.set(entry.sku_id, (this.#adjustedBy.get(entry.sku_id) ?? 0n) + BigInt(entry.delta));
  }

  /** Whether one end of a transfer stands. */
  hasTransfer(direction: Direction, transfer: Transfer): boolean {
    const text = transferKeyText(direction, transfer);
    return this.#transfers.has(text) || this.#reading.transfers.get(text) === true;
  }

  addTransfer(direction: Direction, transfer: Transfer): void {
    this.#transfers.set(transferKeyText(direction, transfer), { direction, transfer });
  }

  strikeOut({ sku_id, order_detail_id, order_id, attempt }: Hold): void {
    this.#settled.push({ sku_id, order_detail_id, order_id, attempt });
  }

  /** Everything that was decided, in no order. */
  writeSet(): WriteSet {
    return {
      flows: [...this.#flows.values()],
      shelves: [...this.#shelves.values()].flatMap((shelf) => shelf?.change() ?? []),
      returns: [...this.#returns.values()],
      adjustments: [...this.#adjustments.values()],
      transfers: [...this.#transfers.values()],
      settled: this.#settled,
    };
  }
}

export function returnKeyText(key: FlowKey, return_id: string): string {
  return `${flowKeyText(key)}\0${return_id}`;
}

export function adjustmentKeyText(sku_id: string, adjustment_id: string): string {
  return `${sku_id}\0${adjustment_id}`;
}

export function transferKeyText(
  direction: Direction,
  { sku_id, transfer_id }: Pick<Transfer, 'sku_id' | 'transfer_id'>,
): string {
  return `${sku_id}\0${transfer_id}\0${direction}`;
}
