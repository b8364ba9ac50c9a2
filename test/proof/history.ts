/**
 * What a client knows of one sending of a request. `done`: it was answered 2xx. `refused`: 404 or 409, without effect for
 * good. `undone`: `overloaded`, or never sent. `unknown`: `outcome_unknown`, or no answer at all. `breach`: an answer that
 * the contract does not have here.
 */
export type Verdict = 'done' | 'refused' | 'undone' | 'unknown' | 'breach';

/** The code of a request that found nobody to take it. */
export const NOT_SENT = 'not sent';

interface Sending {
  readonly invokedMs: number;
  readonly endedMs: number;
  readonly verdict: Verdict;
  /** The problem's code, or null. */
  readonly code: string | null;
}

interface Repeatable extends Sending {
  /** Whether the answer called it a replay, all of it; null where it said nothing of the kind, or contradicted itself. */
  readonly replayed: boolean | null;
}

export interface LineKey {
  readonly sku_id: string;
  readonly order_detail_id: string;
}

export interface DeductionLine extends LineKey {
  readonly quantity: number;
}

/** A line that a refusal named. */
export interface RefusedLine extends LineKey {
  readonly code: string;
  /** What it said was left; null where it said nothing. */
  readonly leaved_amount: number | null;
}

/** One sending of an order. */
export interface DeductionSent extends Repeatable {
  readonly kind: 'deduction';
  readonly order_id: string;
  readonly lines: readonly DeductionLine[];
  /** Which lines the answer called replays, in the order of `lines`; null where it did not repeat exactly these. */
  readonly replays: readonly boolean[] | null;
  readonly refused: readonly RefusedLine[];
}

/** One sending of a return. */
export interface ReturnSent extends Repeatable, LineKey {
  readonly kind: 'return';
  readonly return_id: string;
  readonly quantity: number;
  /** What the answer said has come back, and can still come back; null where it did not say. */
  readonly returned: number | null;
  readonly returnable: number | null;
}

/** The state of a line as a refused cancellation gives it. */
export interface LineState extends LineKey {
  readonly status: 'cancelled' | 'deducted' | 'pending' | 'none' | 'unavailable';
  /** Why the line refused the attempt; null: it did not. */
  readonly code: string | null;
}

/** One sending of a cancellation. */
export interface CancellationSent extends Repeatable {
  readonly kind: 'cancellation';
  readonly order_id: string;
  readonly lines: readonly LineKey[];
  /** Of all lines, in the order of `lines`, where it was refused; null where the refusal does not give exactly these. Empty otherwise. */
  readonly states: readonly LineState[] | null;
}

/** One sending of a restock or a write-off. */
export interface AdjustmentSent extends Repeatable {
  readonly kind: 'adjustment';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
}

/** One sending of an opening stock: of a SKU that is new, or of one that stands. */
export interface OpeningSent extends Repeatable {
  readonly kind: 'opening';
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** One sending of a pause or its end. It has no id: the last one counts. */
export interface SaleSent extends Sending {
  readonly kind: 'sale';
  readonly sku_id: string;
  readonly state: 'on' | 'paused';
}

/** One sending of a wish to have a SKU in so many rows. It has no id: the last one counts. */
export interface ResizeSent extends Sending {
  readonly kind: 'resize';
  readonly sku_id: string;
  readonly sub_rows: number;
  /** The shards of the rows as the answer had them; null where it did not say. */
  readonly places: readonly number[] | null;
}

/** One look at what is left. */
export interface StockRead extends Sending {
  readonly kind: 'read';
  readonly sku_id: string;
  readonly leaved_amount: number | null;
  /** False: the rows and the units in transit were another sum. */
  readonly addsUp?: boolean;
}

/** What a look-up said of one line. */
export type Found =
  | { readonly status: 'none' }
  | {
      readonly status: 'deducted' | 'pending' | 'cancelled';
      readonly order_id: string;
      readonly quantity: number;
      readonly returned: number;
    };

/** One look at one line, alone or among others; null without an answer. */
export interface LookedUp extends Sending, LineKey {
  readonly kind: 'lookup';
  readonly found: Found | null;
}

/** What may have changed something. */
export type Write =
  DeductionSent | ReturnSent | CancellationSent | AdjustmentSent | OpeningSent | SaleSent | ResizeSent;

export type Entry = Write | StockRead | LookedUp;

/** A restock or write-off as the database has it. */
export interface AdjustmentRow {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly shard: number;
}

/** A deduction as the database has it. `void` binds nothing; `cancelled` without a quantity blocks its ids. */
export interface FlowRow extends DeductionLine {
  readonly order_id: string;
  readonly status: 'deducted' | 'pending' | 'cancelled' | 'void';
  readonly attempt: number;
  readonly returned: number;
  /** Of which row it took. */
  readonly sub_row: number;
  readonly shard: number;
}

/** The word that what stands under an id lies on another shard. */
export interface PointerRow extends LineKey {
  readonly moved_to: number;
  readonly shard: number;
}

/** A return as the database has it; one with an empty id is what a cancellation gave back. */
export interface ReturnRow extends LineKey {
  readonly return_id: string;
  readonly quantity: number;
  readonly shard: number;
}

/** Stock that is held for a cart, as the database has it. */
export interface HoldRow extends LineKey {
  readonly order_id: string;
  readonly shard: number;
}

/** The record of one attempt to sell a cart, as the database has it. */
export interface CartRow {
  readonly order_id: string;
  readonly attempt: number;
  readonly state: 'open' | 'committed' | 'aborted';
  readonly lines: readonly DeductionLine[];
  readonly shard: number;
}

/** A SKU's stock as the database has it, or a part of it where it is split. */
export interface StockRow {
  readonly sku_id: string;
  readonly sub_row: number;
  /** Whether it takes new ids. */
  readonly isOpen: boolean;
  readonly opening_amount: number;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly sale_state: 'on' | 'paused';
  readonly shard: number;
}

/** Units that went from one row of a SKU to another, as the database has it: at either end. */
export interface TransferRow {
  readonly sku_id: string;
  readonly transfer_id: string;
  readonly direction: 'out' | 'in';
  readonly amount: number;
  /** Still on its way, as far as is known where it left. */
  readonly isOpen: boolean;
  readonly sub_row: number;
  readonly shard: number;
  readonly other: { readonly shard: number; readonly sub_row: number };
}

/** How a SKU that is or was split lies, as the database has it. */
export interface LayoutRow {
  readonly sku_id: string;
  readonly state: 'single' | 'closing' | 'opening' | 'open';
  readonly places: readonly number[];
  /** Layouts whose ids may have no pointers yet. */
  readonly earlier_count: number;
  /** Where it has or had rows. */
  readonly shards: readonly number[];
  readonly shard: number;
}

/** Everything that stands in all shards when the dust has settled. */
export interface FinalState {
  readonly stock: readonly StockRow[];
  readonly flows: readonly FlowRow[];
  readonly pointers: readonly PointerRow[];
  readonly returns: readonly ReturnRow[];
  readonly adjustments: readonly AdjustmentRow[];
  readonly holds: readonly HoldRow[];
  readonly carts: readonly CartRow[];
  readonly transfers: readonly TransferRow[];
  readonly layouts: readonly LayoutRow[];
}

/** Whether it was refused because its ids stand with another content. */
export function isConflict({ verdict, code }: Entry): boolean {
  return verdict === 'refused' && (code === 'idempotency_conflict' || code === 'sku_exists');
}
