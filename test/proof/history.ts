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

export interface DeductionLine {
  readonly sku_id: string;
  readonly order_detail_id: string;
  readonly quantity: number;
}

/** One sending of an order. */
export interface DeductionSent extends Sending {
  readonly kind: 'deduction';
  readonly order_id: string;
  readonly lines: readonly DeductionLine[];
  /** Whether the answer called every line a replay; null without an answer. */
  readonly replayed: boolean | null;
  /** What a refusal for lack of stock said was left, by SKU. */
  readonly left: ReadonlyMap<string, number>;
}

/** One sending of a restock or a write-off. */
export interface AdjustmentSent extends Sending {
  readonly kind: 'adjustment';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  /** Whether the answer called it a replay; null without an answer. */
  readonly replayed: boolean | null;
}

/** One sending of an opening stock: of a SKU that is new, or of one that stands. */
export interface OpeningSent extends Sending {
  readonly kind: 'opening';
  readonly sku_id: string;
  readonly leaved_amount: number;
  readonly replayed: boolean | null;
}

/** One look at what is left. */
export interface StockRead extends Sending {
  readonly kind: 'read';
  readonly sku_id: string;
  readonly leaved_amount: number | null;
}

/** One look at a deduction. */
export interface LookedUp extends Sending {
  readonly kind: 'lookup';
  readonly line: DeductionLine;
  readonly stands: boolean | null;
}

/** What may have changed something. */
export type Write = DeductionSent | AdjustmentSent | OpeningSent;

export type Entry = Write | StockRead | LookedUp;

/** A restock or write-off as the database has it. */
export interface AdjustmentRow {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly shard: number;
}

/** A deduction as the database has it. */
export interface FlowRow extends DeductionLine {
  readonly order_id: string;
  readonly shard: number;
}

/** A SKU's stock as the database has it. */
export interface StockRow {
  readonly sku_id: string;
  readonly opening_amount: number;
  readonly leaved_amount: number;
  readonly shard: number;
}

/** Everything that stands in all shards when the dust has settled. */
export interface FinalState {
  readonly stock: readonly StockRow[];
  readonly flows: readonly FlowRow[];
  readonly adjustments: readonly AdjustmentRow[];
}

/** Whether it was refused because its ids stand with another content. */
export function isConflict({ verdict, code }: Entry): boolean {
  return verdict === 'refused' && (code === 'idempotency_conflict' || code === 'sku_exists');
}
