import { expect } from 'chai';
import type { Line, OrderTransaction, ShardIndex } from '../../../src/core/types.ts';
import { cancelOrder } from '../../../src/service/orders/cancelOrder.ts';
import { deductOrder } from '../../../src/service/orders/deductOrder.ts';
import type { CartBench } from './cartBench.ts';
import { linesOf, nothingHeld } from './cartRows.ts';

/** A shard of the first server, and two of the second. The second has more lines, so it coordinates. */
const PARTICIPANT = 3;
export const COORDINATOR = 9;
const OVER_SERVERS = [PARTICIPANT, COORDINATOR, 11];
const ON_ONE_SERVER = [COORDINATOR, 11, 13];
/** The shards of all phases. */
export const SHARDS = [PARTICIPANT, ...ON_ONE_SERVER];
/** The units of each SKU. */
export const OPENED = 3;
/** The time of a request. */
export const REQUEST_MS = 10_000;
const FREE_MS = 20_000;
const SWEEP_MS = 2_000;
/** A transaction of this age that has no record is aborted by other gateways. */
const ABANDONED_MS = 10_000;

/** The ids of one case. */
export interface Order {
  readonly order_id: string;
  readonly sku_ids: readonly string[];
}

/** The outcome of a request, and its reason where it has one. */
export interface Ended {
  readonly is: string;
  readonly reason?: string;
}

/** A COMMIT of a request over several shards, which is cut. */
export interface Phase {
  readonly name: string;
  /** The shards of the lines. */
  readonly shards: readonly ShardIndex[];
  /** A shard of the server whose COMMIT is cut. */
  readonly at: ShardIndex;
  /** The number of the COMMIT among those that name the order, or among those that name none. */
  readonly number: number;
  /** True for a statement COMMIT, which names no order. */
  readonly isPlain?: true;
  /** The units of the last line, if not one. */
  readonly lastQuantity?: number;
  prepare?(by: CartBench, order: Order): Promise<unknown>;
  send(by: CartBench, order: Order, lines: readonly Line[]): Promise<Ended>;
  /** The outcome if the server committed, and if it did not. */
  readonly outcomes: { readonly committed: string; readonly undone: string };
  /** The end of each line by the outcome. */
  readonly ends: Readonly<Record<string, readonly string[]>>;
}

const sell: Phase['send'] = async ({ parts }, { order_id }, lines) =>
  (await deductOrder(parts, { order_id, lines }, performance.now() + REQUEST_MS)).outcome;
const cancel: Phase['send'] = ({ parts }, { order_id }, lines) =>
  cancelOrder(parts, { order_id, lines }, performance.now() + REQUEST_MS);
const sold = async (by: CartBench, order: Order): Promise<void> => {
  expect((await sell(by, order, linesOf(order.sku_ids, order.order_id))).is, 'the sale before').to.equal('deducted');
  await untilFree(by, order);
};
/** A gateway held the line of the participant, and died. */
const abandoned = async ({ parts: { engine } }: CartBench, { order_id, sku_ids }: Order): Promise<void> => {
  const lines = linesOf(sku_ids.slice(0, 1), order_id);
  const hold = { kind: 'hold', order_id, attempt: 0, transaction: abandonedTransaction(), lines } as const;
  const [outcome] = await engine.apply(PARTICIPANT, [hold], performance.now() + REQUEST_MS);
  expect(outcome?.is, 'the abandoned hold').to.equal('held');
};

function abandonedTransaction(): OrderTransaction {
  const began = (Date.now() - ABANDONED_MS).toString(16).padStart(12, '0');
  const rest = Array.from({ length: 20 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  return { transaction_id: began + rest, coordinator: COORDINATOR };
}

const ALL = ['deducted', 'deducted', 'deducted'];
const NONE = ['none', 'none', 'none'];
const SOLD_OR_NOT = { deducted: ALL, not_done: NONE };
const ALWAYS_SOLD = { committed: 'deducted', undone: 'deducted' };
const CANCELLED = ['cancelled', 'cancelled', 'cancelled'];

/** Every COMMIT of an order and of a cancellation over several shards. */
export const PHASES: readonly Phase[] = [
  {
    ...{ name: 'prepare', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'decide', shards: OVER_SERVERS, at: COORDINATOR, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'complete', shards: OVER_SERVERS, at: PARTICIPANT, number: 2, send: sell },
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'undo', shards: OVER_SERVERS, at: PARTICIPANT, number: 2, send: sell, lastQuantity: OPENED + 1 },
    outcomes: { committed: 'refused', undone: 'refused' },
    ends: { refused: NONE, not_done: NONE },
  },
  {
    ...{ name: 'abort record', shards: OVER_SERVERS, at: COORDINATOR, number: 1, isPlain: true, send: sell },
    prepare: abandoned,
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'undo of an abandoned hold', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: sell },
    prepare: abandoned,
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'order on one server', shards: ON_ONE_SERVER, at: COORDINATOR, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'cancellation on one server', shards: ON_ONE_SERVER, at: COORDINATOR, number: 1, send: cancel },
    prepare: sold,
    outcomes: { committed: 'applied', undone: 'not_done' },
    ends: { applied: CANCELLED, not_done: ALL },
  },
  {
    // Each server commits its part by itself, so a part of the lines may be cancelled.
    ...{ name: 'cancellation on several servers', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: cancel },
    prepare: sold,
    outcomes: { committed: 'applied', undone: 'unknown' },
    ends: { applied: CANCELLED, unknown: ['deducted', 'cancelled', 'cancelled'], not_done: ALL },
  },
];

/** Waits until the units of an order are sold or left. A sweeper completes the holds that its gateway left. */
export async function untilFree(bench: CartBench, { sku_ids }: Order): Promise<void> {
  await nothingHeld(sku_ids, SWEEP_MS).catch(() => bench.sweeper().sweep());
  await nothingHeld(sku_ids, FREE_MS);
}
