import { flowKeyText } from './nouns.ts';
import type { CartKey, CartLine, Flow, FlowKey, Line, ShardIndex, Verdict } from './nouns.ts';

/** How many flows behind a difference are named. */
export const FLOWS_NAMED = 20;

/**
 * What can be wrong, each with what `expected` and `actual` count.
 *
 * leaved_amount   units left: by the journal, by the row
 * held_amount     units held: by the pending flows, by the row
 * returned        units that came back: by the returns, by the flows that count them
 * hold_row        rows of holds: one for each pending flow, those that stand
 * hold_left       units that a cart holds long after it was decided, or without a record: 0, those
 * cart_line       units of a line that a committed cart sold: by its record, by the flow
 * aborted_line    units sold by a cart that was aborted: 0, those
 * transfer_left   units on their way between rows for long after they left: 0, those
 */
export const DIFFERENCE_KINDS = [
  'leaved_amount',
  'held_amount',
  'returned',
  'hold_row',
  'hold_left',
  'cart_line',
  'aborted_line',
  'transfer_left',
] as const;

export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** Two places that should say the same and do not. */
export interface ShelfDifference {
  readonly kind: DifferenceKind;
  /** The shard of the SKU. */
  readonly shard: ShardIndex;
  readonly sku_id: string;
  /** Absent where it is not about one of several rows. */
  readonly sub_row?: number;
  readonly expected: bigint;
  readonly actual: bigint;
  /** How many flows are behind it, and the ids of some. */
  readonly flow_count: number;
  readonly order_detail_ids: readonly string[];
  /** The cart it is about, where it is about one. */
  readonly cart: CartKey | null;
}

/** A hold that is old enough to have been settled, with its units; 0 where no flow is held. */
export interface OverdueHold extends Line, CartKey {}

/** What one snapshot of a shard says. */
export interface ShardAudit {
  readonly sku_count: number;
  readonly flow_count: number;
  readonly differences: readonly ShelfDifference[];
  readonly overdue: readonly OverdueHold[];
}

/** What a flow says of the cart that sold it. */
export type SoldFlow = Pick<Flow, 'sku_id' | 'order_detail_id' | 'order_id' | 'attempt' | 'quantity' | 'status'>;

/** The record of a cart that was decided. A missing record that was asked for is written as aborted, without lines. */
export interface DecidedCart extends CartKey {
  readonly state: Verdict;
  readonly lines: readonly CartLine[];
}

/** Where a page of records ends. Bytes, because a damaged id may be no text. */
export interface CartPosition {
  readonly orderIdHex: string;
  readonly attempt: number;
}

/** Records of decided carts. */
export interface CartPage {
  readonly carts: readonly DecidedCart[];
  /** Records that cannot be read, each with what is wrong with it, for operators. */
  readonly unreadable: readonly string[];
  /** Where to go on; null: that was all. */
  readonly next: CartPosition | null;
}

/** Tells a difference from all others, so that it is known again at the second look. */
export function differenceKey({ kind, shard, sku_id, sub_row = 0, cart, order_detail_ids }: ShelfDifference): string {
  const about = cart === null ? [] : [cart.order_id, String(cart.attempt), ...order_detail_ids];
  return [kind, String(shard), sku_id, String(sub_row), ...about].join('\0');
}

/** Those of the second look that stood at the first: what healed in between is none, and what is new may heal. */
export function seenTwice(first: readonly ShelfDifference[], second: readonly ShelfDifference[]): ShelfDifference[] {
  const known = new Set(first.map(differenceKey));
  return second.filter((difference) => known.has(differenceKey(difference)));
}

/** How the ids of adjustments begin that bring a journal to what its row says. */
const REPAIR = 'reconcile-';

/** The beginning of such ids, for one run. */
export function repairId(at: Date): string {
  return `${REPAIR}${at.toISOString().replaceAll(/[-:.]/g, '')}`;
}

/** Whether an adjustment was written by a repair. */
export function isOfRepair(adjustment_id: string): boolean {
  return new RegExp(`^${REPAIR}\\d{8}T\\d{9}Z-\\d+$`).test(adjustment_id);
}

/** By how much the row is above what its journal says. */
export function gapOf({ expected, actual }: ShelfDifference): bigint {
  return actual - expected;
}

/**
 * Holds a decided cart's lines against the flows. The flows must have been read after the record was: then every line
 * of a committed cart stands, and none of an aborted one is sold under its attempt, however much goes on.
 *
 * @param flows by `flowKeyText`; null: none stands. A line that is missing was not looked for, and is not judged
 */
export function judgeCart(
  cart: DecidedCart,
  flows: ReadonlyMap<string, SoldFlow | null>,
  shardOf: (sku_id: string) => ShardIndex,
): ShelfDifference[] {
  return cart.lines.flatMap((line) => {
    const flow = flows.get(flowKeyText(line));
    if (flow === undefined) return [];
    const fault = cart.state === 'committed' ? missingFrom(cart, line, flow) : soldDespite(cart, flow);
    if (fault === null) return [];
    return [
      cartDifference(
        fault.kind,
        { ...line, order_id: cart.order_id, attempt: cart.attempt },
        line.shard ?? shardOf(line.sku_id),
        fault,
      ),
    ];
  });
}

/** A difference about one line of a cart. */
export function cartDifference(
  kind: DifferenceKind,
  { sku_id, order_detail_id, order_id, attempt }: FlowKey & CartKey,
  shard: ShardIndex,
  { expected, actual }: { readonly expected: number; readonly actual: number },
): ShelfDifference {
  return {
    kind,
    shard,
    sku_id,
    expected: BigInt(expected),
    actual: BigInt(actual),
    flow_count: 1,
    order_detail_ids: [order_detail_id],
    cart: { order_id, attempt },
  };
}

interface Fault {
  readonly kind: DifferenceKind;
  readonly expected: number;
  readonly actual: number;
}

function missingFrom(cart: CartKey, line: Line, flow: SoldFlow | null): Fault | null {
  const stands =
    flow?.order_id === cart.order_id &&
    (flow.status === 'deducted' ||
      flow.status === 'cancelled' ||
      (flow.status === 'pending' && flow.attempt === cart.attempt));
  const actual = stands ? flow.quantity : 0;
  return actual === line.quantity ? null : { kind: 'cart_line', expected: line.quantity, actual };
}

function soldDespite(cart: CartKey, flow: SoldFlow | null): Fault | null {
  const sold = flow?.status === 'deducted' && flow.order_id === cart.order_id && flow.attempt === cart.attempt;
  return sold ? { kind: 'aborted_line', expected: 0, actual: flow.quantity } : null;
}
