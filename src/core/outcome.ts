import type { Flow, FlowKey, Hold, Line, Sale, ShardIndex, StockRow } from './nouns.ts';
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
  SettleLines,
} from './operation.ts';

/**
 * Why an attempt was refused, in the order in which they are told: where lines fail for several reasons, the answer's
 * code is the first of these. A refused attempt has no effect and never gets one later.
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

/** One line that stood in the way. */
export interface RefusedLine extends Line {
  readonly code: RefusalCode;
  /** Units left when the line was refused; only with `insufficient_stock`. */
  readonly leaved_amount?: number;
}

/** Definitely without effect, for good. */
export interface Refused {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** Every refused line of a deduction; empty for other operations. */
  readonly lines: readonly RefusedLine[];
  /** Units that could be returned; only with `over_return`. */
  readonly returnable?: number;
  /** Units left that could be written off; only with `insufficient_stock` of a write-off. */
  readonly leaved_amount?: number;
  /** The opening stock of the SKU, in units; only with `sku_exists`. */
  readonly opened_with?: number;
}

/**
 * Nothing was done because carts that this shard does not know the end of are in the way: they hold an id, or the units
 * that are lacking. Their records tell what became of them.
 */
export interface Pending {
  readonly is: 'pending';
  /** What they hold: the ids themselves, or units of the SKUs asked for. Without a shard: on the one that was asked. */
  readonly holds: readonly (Hold & { readonly shard?: ShardIndex })[];
}

/** Definitely without effect, and no verdict on the request: it may be sent again. */
export interface NotDone {
  readonly is: 'not_done';
  /** For the log, never for the caller: it may name hosts. */
  readonly reason: string;
}

/** It may or may not have happened: the same ids, sent again or looked up, tell. */
export interface Unknown {
  readonly is: 'unknown';
  /** For the log, never for the caller. */
  readonly reason: string;
}

/** The shard does not own the slot of a SKU (any more); nothing was done. The caller's map is stale. */
export interface NotMine {
  readonly is: 'not_mine';
}

/** The rows of some SKUs do not lie as the caller thought (any more); nothing was done. */
export interface Moved {
  readonly is: 'moved';
  readonly sku_ids: readonly string[];
}

/** What stands under some ids stands on other shards; nothing was done. */
export interface Elsewhere {
  readonly is: 'elsewhere';
  readonly flows: readonly (FlowKey & { readonly shard: ShardIndex })[];
}

/** Nothing was done, because it was asked for in the wrong place. */
export type Misplaced = NotMine | Moved | Elsewhere;

/** A line that stands in the journal. */
export interface DeductedLine extends Line {
  readonly replayed: boolean;
  readonly returned: number;
}

export interface Deducted {
  readonly is: 'deducted';
  /** In the order of the request. */
  readonly lines: readonly DeductedLine[];
}

/** The stock of all lines is held, but for those that are replays. */
export interface Held {
  readonly is: 'held';
  /** In the order of the request. */
  readonly lines: readonly DeductedLine[];
}

/** A return stands. */
export interface Returned {
  readonly is: 'returned';
  readonly replayed: boolean;
  /** Units of the deduction that came back so far. */
  readonly returned: number;
  /** Units that can still come back. */
  readonly returnable: number;
}

/** A change that has nothing more to say stands. */
export interface Applied {
  readonly is: 'applied';
  readonly replayed: boolean;
}

/** The ways out that every operation has besides being done. */
export type NotApplied = Refused | NotDone | Unknown | Misplaced;

export type DeductOutcome = Deducted | Pending | NotApplied;
export type HoldOutcome = Held | Pending | NotApplied;
export type ReturnOutcome = Returned | Pending | NotApplied;
export type CancelOutcome = Applied | Pending | NotApplied;
export type AppliedOutcome = Applied | NotApplied;

/** The outcome that belongs to an operation. */
export type OutcomeOf<O extends Operation> = O extends Deduct
  ? DeductOutcome
  : O extends HoldLines
    ? HoldOutcome
    : O extends Return
      ? ReturnOutcome
      : O extends Cancel
        ? CancelOutcome
        : O extends SettleLines | Adjust | Send | Receive | Open | SetSale
          ? AppliedOutcome
          : never;

/** One entry per key asked for, null where no flow stands. */
export interface FoundFlows {
  readonly is: 'found';
  readonly flows: readonly (Flow | null)[];
}

/** The stock rows of a SKU by sub-row; none for an unknown SKU. */
export interface FoundStock {
  readonly is: 'found';
  readonly rows: readonly StockRow[];
  /** As the first row has it, read with the others; null for an unknown SKU. */
  readonly sale: Sale | null;
}

/** What a read says instead of its result when it cannot be had. */
export type ReadFailure = NotDone | NotMine;

/** Gathers refused lines under the code that is told first. `lines` must not be empty. */
export function refusedLines(lines: readonly RefusedLine[]): Refused {
  const code = REFUSAL_CODES.find((candidate) => lines.some((line) => line.code === candidate));
  if (code === undefined) throw new Error('a refusal needs at least one refused line');
  return { is: 'refused', code, lines };
}

/** Refuses an operation that has no lines. */
export function refused(code: RefusalCode): Refused {
  return { is: 'refused', code, lines: [] };
}
