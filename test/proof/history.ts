import type { CommitDecision, OrderTransaction } from '../../src/core/types.ts';

/**
 * How one sending of a request ended, as its client can tell. `done`: it was answered 2xx. `refused`: 404 or 409, which
 * has no effect and never gets one. `undone`: `overloaded`, or never sent. `unknown`: `outcome_unknown`, or no answer
 * at all. `breach`: an answer that the contract does not allow here.
 */
export type SendingOutcome = 'done' | 'refused' | 'undone' | 'unknown' | 'breach';

/** The code of a request whose connection was refused, so that no gateway received it. */
export const NOT_SENT = 'not sent';

interface Sending {
  readonly invokedMs: number;
  readonly endedMs: number;
  readonly verdict: SendingOutcome;
  /** The problem's code, or null. */
  readonly code: string | null;
}

interface Repeatable extends Sending {
  /** Whether the answer marked all of it as a replay; null where it did not say or contradicted itself. */
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
export interface RefusedLineAnswer extends LineKey {
  readonly code: string;
  /** The units left that it reported; null where it reported none. */
  readonly leaved_amount: number | null;
}

/** One sending of an order. */
export interface DeductionSent extends Repeatable {
  readonly kind: 'deduction';
  readonly order_id: string;
  readonly lines: readonly DeductionLine[];
  /** Which lines the answer marked as replays, in the order of `lines`; null where it did not list exactly these. */
  readonly replays: readonly boolean[] | null;
  readonly refused: readonly RefusedLineAnswer[];
}

/** One sending of a return. */
export interface ReturnSent extends Repeatable, LineKey {
  readonly kind: 'return';
  readonly return_id: string;
  readonly quantity: number;
  /** The units that the answer reported as returned, and as still returnable; null where it did not report them. */
  readonly returned: number | null;
  readonly returnable: number | null;
}

/** The state of a line in the answer to a refused cancellation. */
export interface LineState extends LineKey {
  readonly status: 'cancelled' | 'deducted' | 'pending' | 'none' | 'unavailable';
  /** Why the line refused the attempt; null where it did not refuse it. */
  readonly code: string | null;
}

/** One sending of a cancellation. */
export interface CancellationSent extends Repeatable {
  readonly kind: 'cancellation';
  readonly order_id: string;
  readonly lines: readonly LineKey[];
  /**
   * Where it was refused, the states of all lines in the order of `lines`; null where the refusal does not list exactly
   * these. Empty where it was not refused.
   */
  readonly states: readonly LineState[] | null;
}

/** One sending of a restock or a write-off. */
export interface AdjustmentSent extends Repeatable {
  readonly kind: 'adjustment';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
}

/** One sending of an opening stock, of a new SKU or of one that was opened before. */
export interface OpeningSent extends Repeatable {
  readonly kind: 'opening';
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** One sending of a pause or a resume. It has no id: the last one counts. */
export interface SaleSent extends Sending {
  readonly kind: 'sale';
  readonly sku_id: string;
  readonly state: 'on' | 'paused';
}

/** One sending of a request to split a SKU into so many rows. It has no id: the last one counts. */
export interface ResizeSent extends Sending {
  readonly kind: 'resize';
  readonly sku_id: string;
  readonly sub_rows: number;
  /** The shards of the rows that the answer reported; null where it reported none. */
  readonly rowShards: readonly number[] | null;
}

/** One read of the units left. */
export interface StockRead extends Sending {
  readonly kind: 'read';
  readonly sku_id: string;
  readonly leaved_amount: number | null;
  /** False where the rows and the units in transit did not add up to the total. */
  readonly addsUp?: boolean;
}

/** The state of one line in the answer to a look-up. */
export type FoundState =
  | { readonly status: 'none' }
  | {
      readonly status: 'deducted' | 'pending' | 'cancelled';
      readonly order_id: string;
      readonly quantity: number;
      readonly returned: number;
    };

/** One look-up of one line, alone or with others; `found` is null without an answer. */
export interface LookUpSent extends Sending, LineKey {
  readonly kind: 'lookup';
  readonly found: FoundState | null;
}

/** An entry that may have changed the stored state. */
export type Write =
  DeductionSent | ReturnSent | CancellationSent | AdjustmentSent | OpeningSent | SaleSent | ResizeSent;

export type Entry = Write | StockRead | LookUpSent;

/** A restock or write-off as it is stored. */
export interface AdjustmentRow {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly shard: number;
}

/** A deduction as it is stored. `void` binds nothing; `cancelled` with quantity 0 blocks its ids. */
export interface FlowRow extends DeductionLine {
  readonly order_id: string;
  readonly status: 'deducted' | 'pending' | 'cancelled' | 'void';
  readonly attempt: number;
  /** The transaction of an order over several shards; null: the flow belongs to none. */
  readonly transaction: OrderTransaction | null;
  readonly returned: number;
  /** The stock row from which it took the units. */
  readonly sub_row: number;
  readonly shard: number;
}

/** A pointer: the flow under this id is stored on another shard. */
export interface PointerRow extends LineKey {
  readonly moved_to: number;
  readonly shard: number;
}

/** A return as it is stored; one with an empty id holds the units that a cancellation returned. */
export interface ReturnRow extends LineKey {
  readonly return_id: string;
  readonly quantity: number;
  readonly shard: number;
}

/** A hold of units for a cart, as it is stored. */
export interface StoredHold extends LineKey {
  readonly order_id: string;
  readonly shard: number;
}

/** The record of one attempt to sell a cart, as it is stored. */
export interface CartRow {
  readonly order_id: string;
  readonly attempt: number;
  readonly state: 'open' | 'committed' | 'aborted';
  readonly lines: readonly DeductionLine[];
  readonly shard: number;
}

/** The record of a transaction over several shards, as it is stored. */
export interface RecordRow {
  readonly transaction_id: string;
  readonly state: CommitDecision;
  readonly order_id: string;
  /** Each with the shard that has its flow. */
  readonly lines: readonly (DeductionLine & { readonly shard: number })[];
  /** Whether it is listed as a record to delete. */
  readonly isListed: boolean;
  readonly shard: number;
}

/** A stock row as it is stored: all the stock of a SKU, or one of its rows where the SKU is split. */
export interface StoredStockRow {
  readonly sku_id: string;
  readonly sub_row: number;
  /** Whether it accepts new ids. */
  readonly isOpen: boolean;
  readonly opening_amount: number;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly sale_state: 'on' | 'paused';
  readonly shard: number;
}

/** One end of a transfer of units between two rows of a SKU, as it is stored. */
export interface TransferRow {
  readonly sku_id: string;
  readonly transfer_id: string;
  readonly direction: 'out' | 'in';
  readonly amount: number;
  /** Still in transit, according to the row that sent it. */
  readonly isOpen: boolean;
  readonly sub_row: number;
  readonly shard: number;
  readonly other: { readonly shard: number; readonly sub_row: number };
}

/** The layout of a SKU that is or was split, as it is stored. */
export interface LayoutRow {
  readonly sku_id: string;
  readonly state: 'single' | 'closing' | 'opening' | 'open';
  readonly rowShards: readonly number[];
  /** The number of earlier layouts whose ids may have no pointers yet. */
  readonly earlier_count: number;
  /** The shards where it has or had rows. */
  readonly shards: readonly number[];
  readonly shard: number;
}

/** Everything that is stored on all shards at the end of a round. */
export interface FinalState {
  readonly stock: readonly StoredStockRow[];
  readonly flows: readonly FlowRow[];
  readonly pointers: readonly PointerRow[];
  readonly returns: readonly ReturnRow[];
  readonly adjustments: readonly AdjustmentRow[];
  readonly holds: readonly StoredHold[];
  readonly carts: readonly CartRow[];
  readonly records: readonly RecordRow[];
  readonly transfers: readonly TransferRow[];
  readonly layouts: readonly LayoutRow[];
}

/** Whether it was refused because its ids are stored with another content. */
export function isConflict({ verdict, code }: Entry): boolean {
  return verdict === 'refused' && (code === 'idempotency_conflict' || code === 'sku_exists');
}
