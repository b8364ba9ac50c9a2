import { isOfCart } from '../idStatus.ts';
import { flowKeyText } from '../types.ts';
import type { CartKey, CartLine, Flow, FlowKey, Line, ShardIndex, CommitDecision } from '../types.ts';

/** Flows that are named for a difference, at most. */
export const NAMED_FLOWS_MAX = 20;

/**
 * The kinds of differences. Of each: `expected` / `actual`.
 *
 * - `leaved_amount`: units left by the journal / by the stock row.
 * - `held_amount`: units held by the pending flows / by the stock row.
 * - `returned`: units returned by the rows of returns / by the flow that adds them up.
 * - `hold_row`: one hold row for each pending flow / the hold rows that exist.
 * - `hold_left`: 0 / units that a cart still holds long after its commit decision, or without a record.
 * - `cart_line`: units of a line that a committed cart sold, by its record / by the flow.
 * - `aborted_line`: 0 / units sold by an aborted cart, or by a transaction without a record.
 * - `transfer_left`: 0 / units of a transfer that is open long after its debit.
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

/** Two sums that should be equal and are not. */
export interface StockDifference {
  readonly kind: DifferenceKind;
  /** The shard of the SKU. */
  readonly shard: ShardIndex;
  readonly sku_id: string;
  /** Absent if the difference is not about one of several rows. */
  readonly sub_row?: number;
  readonly expected: bigint;
  readonly actual: bigint;
  /** The number of flows that the difference comes from, and the ids of some. */
  readonly flow_count: number;
  readonly order_detail_ids: readonly string[];
  /** The cart that the difference is about, or null. */
  readonly cart: CartKey | null;
}

/** A hold that should have been completed by now, with its units; 0 units if no flow is held. */
export interface OverdueHold extends Line, CartKey {}

/** The result of an audit of one shard in one snapshot. */
export interface ShardAudit {
  readonly sku_count: number;
  readonly flow_count: number;
  readonly differences: readonly StockDifference[];
  readonly overdue: readonly OverdueHold[];
}

/** The fields of a flow that name its cart. */
export type SoldFlow = Pick<
  Flow,
  'sku_id' | 'order_detail_id' | 'order_id' | 'attempt' | 'quantity' | 'status' | 'transaction'
>;

/** The record of a decided cart. A record that was missing when it was read was written as aborted, without lines. */
export interface DecidedCart extends CartKey {
  readonly state: CommitDecision;
  readonly lines: readonly CartLine[];
}

/** The end of a page of records. The id is bytes, because a damaged id may not be text. */
export interface CartPosition {
  readonly orderIdHex: string;
  readonly attempt: number;
}

/** Records of decided carts. @typeParam Position names the end of a page */
export interface CartPage<Position = CartPosition> {
  readonly carts: readonly DecidedCart[];
  /** Records that cannot be decoded, each with its fault, for operators. */
  readonly unreadable: readonly string[];
  /** The position of the next page; null: there is none. */
  readonly next: Position | null;
}

/** A unique text for a difference, which identifies it in the second audit. */
export function differenceKey({ kind, shard, sku_id, sub_row = 0, cart, order_detail_ids }: StockDifference): string {
  const about =
    cart === null
      ? []
      : [cart.order_id, String(cart.attempt), cart.transaction?.transaction_id ?? '', ...order_detail_ids];
  return [kind, String(shard), sku_id, String(sub_row), ...about].join('\0');
}

/**
 * The differences of the second audit that the first audit found too. A difference that went away between the two is
 * none, and a new one may still go away.
 */
export function foundTwice(first: readonly StockDifference[], second: readonly StockDifference[]): StockDifference[] {
  const known = new Set(first.map(differenceKey));
  return second.filter((difference) => known.has(differenceKey(difference)));
}

/** The prefix of the ids of adjustments that repair a journal. */
const REPAIR_PREFIX = 'reconcile-';

/** The prefix of the adjustment ids of one repair run. */
export function repairIdPrefixAt(at: Date): string {
  return `${REPAIR_PREFIX}${at.toISOString().replaceAll(/[-:.]/g, '')}`;
}

/** Whether an adjustment was written by a repair. */
export function isRepairId(adjustment_id: string): boolean {
  return new RegExp(`^${REPAIR_PREFIX}\\d{8}T\\d{9}Z-\\d+$`).test(adjustment_id);
}

/** The units by which the row is above its journal. */
export function gapOf({ expected, actual }: StockDifference): bigint {
  return actual - expected;
}

/**
 * Compares the lines of a decided cart with the flows. The flows must have been read after the record. Then every line
 * of a committed cart has a flow, and no line of an aborted cart is sold under its attempt, even while traffic
 * runs. A line that an earlier attempt of the order had sold has the flow of that attempt, or one of no attempt.
 *
 * @param flows by `flowKeyText`; null: there is no flow. A line without an entry was not looked up, and is not
 *   compared.
 */
export function compareCart(
  cart: DecidedCart,
  flows: ReadonlyMap<string, SoldFlow | null>,
  shardOf: (sku_id: string) => ShardIndex,
): StockDifference[] {
  return cart.lines.flatMap((line) => {
    const flow = flows.get(flowKeyText(line));
    if (flow === undefined) return [];
    const fault = cart.state === 'committed' ? lineNotSold(cart, line, flow) : lineSoldByAbortedCart(cart, flow);
    if (fault === null) return [];
    return [cartDifference(fault.kind, { ...line, ...cartKeyOf(cart) }, line.shard ?? shardOf(line.sku_id), fault)];
  });
}

/** A difference about one line of a cart. */
export function cartDifference(
  kind: DifferenceKind,
  { sku_id, order_detail_id, ...cart }: FlowKey & CartKey,
  shard: ShardIndex,
  { expected, actual }: { readonly expected: number; readonly actual: number },
): StockDifference {
  return {
    kind,
    shard,
    sku_id,
    expected: BigInt(expected),
    actual: BigInt(actual),
    flow_count: 1,
    order_detail_ids: [order_detail_id],
    cart: cartKeyOf(cart),
  };
}

function cartKeyOf({ order_id, attempt, transaction }: CartKey): CartKey {
  return transaction === undefined ? { order_id, attempt } : { order_id, attempt, transaction };
}

interface Fault {
  readonly kind: DifferenceKind;
  readonly expected: number;
  readonly actual: number;
}

function lineNotSold(cart: CartKey, line: Line, flow: SoldFlow | null): Fault | null {
  const stands =
    flow?.order_id === cart.order_id &&
    (flow.status === 'deducted' || flow.status === 'cancelled' || (flow.status === 'pending' && isOfCart(flow, cart)));
  const actual = stands ? flow.quantity : 0;
  return actual === line.quantity ? null : { kind: 'cart_line', expected: line.quantity, actual };
}

function lineSoldByAbortedCart(cart: CartKey, flow: SoldFlow | null): Fault | null {
  const sold = flow?.status === 'deducted' && isOfCart(flow, cart);
  return sold ? { kind: 'aborted_line', expected: 0, actual: flow.quantity } : null;
}
