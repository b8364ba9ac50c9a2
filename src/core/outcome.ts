import type { Flow, FlowKey, Hold, Line, Sale, ShardIndex, StockRow } from './types.ts';
import type {
  Adjust,
  Cancel,
  Deduct,
  HoldLines,
  Open,
  Operation,
  Receive,
  Return,
  Send,
  SetSale,
  CompleteLines,
} from './operation.ts';

/**
 * The reasons why an attempt was refused, by precedence: where lines fail for several reasons, the answer's code is the
 * first of these. A refused attempt has no effect and never gets one later.
 */
export const REFUSAL_CODES = [
  'idempotency_conflict',
  'cancelled',
  'unknown_sku',
  'not_on_sale',
  'insufficient_stock',
  'sku_exists',
  'stock_limit',
  'unknown_deduction',
  'over_return',
  'pending',
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** A line that was refused. */
export interface RefusedLine extends Line {
  readonly code: RefusalCode;
  /** Units left when the line was refused; only with `insufficient_stock`. */
  readonly leaved_amount?: number;
}

/** The attempt has no effect and never gets one. */
export interface Refused {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** Every refused line of a deduction; empty for other operations. */
  readonly lines: readonly RefusedLine[];
  /** Units that can still be returned; only with `over_return`. */
  readonly returnable?: number;
  /** Units left that can be written off; only with `insufficient_stock` of a write-off. */
  readonly leaved_amount?: number;
  /** The opening stock of the SKU, in units; only with `sku_exists`. */
  readonly opened_with?: number;
}

/**
 * Nothing was done, because carts whose commit decision is not recorded on this shard hold one of the ids or the units
 * that are short. The records of the carts show how they ended.
 */
export interface BlockedByHolds {
  readonly is: 'pending';
  /** The holds of the requested ids, or of units of the requested SKUs. Without a shard: on the shard that answered. */
  readonly holds: readonly (Hold & { readonly shard?: ShardIndex })[];
}

/** The attempt had no effect, and this says nothing about the request. It may be sent again. */
export interface NotDone {
  readonly is: 'not_done';
  /** For the log, never for the caller: it may name hosts. */
  readonly reason: string;
  /** Another gateway aborted the transaction before its decision. The order may be sold by another transaction. */
  readonly isAborted?: true;
}

/**
 * The attempt is in doubt: it may or may not have had its effect. The same ids, sent again or looked up, give the
 * answer.
 */
export interface OutcomeInDoubt {
  readonly is: 'unknown';
  /** For the log, never for the caller. */
  readonly reason: string;
}

/**
 * Wrong shard: it does not own the slot of a SKU, or no longer does. Nothing was done. The caller's slot map is stale.
 */
export interface WrongShard {
  readonly is: 'not_mine';
}

/** Stale layout: the rows of some SKUs are not, or no longer, in the layout that the caller named. Nothing was done. */
export interface StaleLayout {
  readonly is: 'moved';
  readonly sku_ids: readonly string[];
}

/** Redirect: the flows of some ids are on other shards. Nothing was done. */
export interface Redirect {
  readonly is: 'elsewhere';
  readonly flows: readonly (FlowKey & { readonly shard: ShardIndex })[];
}

/** Nothing was done, because the operation was sent to the wrong shard or row. */
export type Misrouted = WrongShard | StaleLayout | Redirect;

/** A line that is deducted or held. */
export interface DeductedLine extends Line {
  readonly replayed: boolean;
  readonly returned: number;
}

export interface Deducted {
  readonly is: 'deducted';
  /** In the order of the request. */
  readonly lines: readonly DeductedLine[];
}

/** The stock of all lines is held, except for lines that are replays. */
export interface Held {
  readonly is: 'held';
  /** In the order of the request. */
  readonly lines: readonly DeductedLine[];
}

/** A return was committed. */
export interface Returned {
  readonly is: 'returned';
  readonly replayed: boolean;
  /** Units of the deduction returned so far. */
  readonly returned: number;
  /** Units that can still be returned. */
  readonly returnable: number;
}

/** A change without further results was committed. */
export interface Applied {
  readonly is: 'applied';
  readonly replayed: boolean;
}

/** The outcomes of an operation that was not applied. */
export type NotApplied = Refused | NotDone | OutcomeInDoubt | Misrouted;

export type DeductOutcome = Deducted | BlockedByHolds | NotApplied;
export type HoldOutcome = Held | BlockedByHolds | NotApplied;
export type ReturnOutcome = Returned | BlockedByHolds | NotApplied;
export type CancelOutcome = Applied | BlockedByHolds | NotApplied;
export type AppliedOutcome = Applied | NotApplied;

/** The outcome type of an operation. */
export type OutcomeOf<O extends Operation> = O extends Deduct
  ? DeductOutcome
  : O extends HoldLines
    ? HoldOutcome
    : O extends Return
      ? ReturnOutcome
      : O extends Cancel
        ? CancelOutcome
        : O extends CompleteLines | Adjust | Send | Receive | Open | SetSale
          ? AppliedOutcome
          : never;

/** One entry per requested key; null: no flow exists. */
export interface FoundFlows {
  readonly is: 'found';
  readonly flows: readonly (Flow | null)[];
}

/** The stock rows of a SKU by sub-row; none for an unknown SKU. */
export interface FoundStock {
  readonly is: 'found';
  readonly rows: readonly StockRow[];
  /** The sale state of the first row, read with the other rows; null for an unknown SKU. */
  readonly sale: Sale | null;
}

/** The outcome of a read that has no result. */
export type ReadFailure = NotDone | WrongShard;

/** Makes a refusal of refused lines, with the code that has precedence. `lines` must not be empty. */
export function refusedLines(lines: readonly RefusedLine[]): Refused {
  const code = REFUSAL_CODES.find((candidate) => lines.some((line) => line.code === candidate));
  if (code === undefined) throw new Error('a refusal needs at least one refused line');
  return { is: 'refused', code, lines };
}

/** Refuses an operation that has no lines. */
export function refused(code: RefusalCode): Refused {
  return { is: 'refused', code, lines: [] };
}
