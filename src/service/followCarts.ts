import { flowKeyText } from '../core/nouns.ts';
import type { CartKey, DeadlineMs, Flow, FlowKey, ShardIndex } from '../core/nouns.ts';
import { groupByShard } from '../core/plan.ts';
import type { Auditor } from '../core/ports.ts';
import { cartDifference, judgeCart } from '../core/reconciliation.ts';
import type { DecidedCart, OverdueHold, ShelfDifference } from '../core/reconciliation.ts';
import type { Routing } from './routing.ts';

/** What is held against the flows of other shards at a time. */
const CARTS_AT_A_TIME = 200;
const KEYS_AT_A_TIME = 500;

export interface CartParts {
  readonly routing: Routing;
  readonly auditor: Auditor;
}

/**
 * Holds all records of decided carts on a shard against the flows of all shards. Records are read first, so what they say
 * was true already when the flows are read.
 *
 * @param only one SKU, or null: all
 */
export async function followCarts(parts: CartParts, shard: ShardIndex, only: string | null, deadlineMs: DeadlineMs): Promise<ShelfDifference[]> {
  const found: ShelfDifference[] = [];
  const bare: CartKey[] = [];
  for (let after: CartKey | null = null; ; ) {
    const carts = await parts.auditor.readDecidedCarts(shard, { after, max: CARTS_AT_A_TIME, naming: only }, deadlineMs);
    found.push(...(await judgeCarts(parts, carts.map((cart) => onlyOf(cart, only)), deadlineMs)));
    bare.push(...carts.filter(({ state, lines }) => state === 'aborted' && lines.length === 0));
    const last: DecidedCart | undefined = carts.at(-1);
    if (last === undefined || carts.length < CARTS_AT_A_TIME) break;
    after = last;
  }
  return [...found, ...(await judgeBareCarts(parts, bare, only, deadlineMs))];
}

/** Looks once more at the carts that some differences are about. */
export async function followAgain(parts: CartParts, differences: readonly ShelfDifference[], deadlineMs: DeadlineMs): Promise<ShelfDifference[]> {
  const carts = new Map<string, DecidedCart>();
  for (const { cart, kind, sku_id, expected, actual, order_detail_ids: [order_detail_id] } of differences) {
    if (cart === null || order_detail_id === undefined || kind === 'hold_left') continue;
    const known = carts.get(cartText(cart));
    const line = { sku_id, order_detail_id, quantity: Number(kind === 'cart_line' ? expected : actual) };
    carts.set(cartText(cart), { ...cart, state: kind === 'cart_line' ? 'committed' : 'aborted', lines: [...(known?.lines ?? []), line] });
  }
  const found: ShelfDifference[] = [];
  for (const [shard, ofShard] of byOwner(parts, [...carts.values()])) {
    for (const some of piecesOf(ofShard)) {
      const records = new Map((await parts.auditor.readCarts(shard, some, deadlineMs)).map((record) => [cartText(record), record.state]));
      // Judged by the record as it is now; one that is gone is nobody's sale.
      found.push(...(await judgeCarts(parts, some.flatMap((cart) => stateOf(cart, records.get(cartText(cart)))), deadlineMs)));
    }
  }
  return found;
}

/** Those of a shard's old holds whose carts were decided long ago, or have no record. */
export async function followHolds(parts: CartParts, shard: ShardIndex, holds: readonly OverdueHold[], deadlineMs: DeadlineMs): Promise<ShelfDifference[]> {
  const fresh = new Set<string>();
  for (const [owner, ofOwner] of byOwner(parts, holds)) {
    for (const some of piecesOf(ofOwner)) for (const cart of await parts.auditor.findFreshCarts(owner, some, deadlineMs)) fresh.add(cartText(cart));
  }
  // One that holds nothing is told of by its row already.
  return holds.flatMap((hold) => (fresh.has(cartText(hold)) || hold.quantity === 0 ? [] : [cartDifference('hold_left', hold, shard, { expected: 0, actual: hold.quantity })]));
}

async function judgeCarts(parts: CartParts, carts: readonly DecidedCart[], deadlineMs: DeadlineMs): Promise<ShelfDifference[]> {
  const { map } = parts.routing;
  const flows = await readFlows(parts, carts.flatMap(({ lines }) => lines), deadlineMs);
  return carts.flatMap((cart) => judgeCart(cart, flows, (sku_id) => map.shardOf(sku_id)));
}

/** Records without lines were written by who found none; what such a cart sold can only be found among the flows. */
async function judgeBareCarts({ routing, auditor }: CartParts, bare: readonly CartKey[], only: string | null, deadlineMs: DeadlineMs): Promise<ShelfDifference[]> {
  const shards = only === null ? [...routing.map.slotCounts().keys()] : [routing.map.shardOf(only)];
  const found: ShelfDifference[] = [];
  for (const some of piecesOf(bare)) {
    for (const shard of shards) {
      const flows = await auditor.findFlowsOfCarts(shard, some, only === null ? null : [only], deadlineMs);
      found.push(...flows.map((flow) => cartDifference('aborted_line', flow, shard, { expected: 0, actual: flow.quantity })));
    }
  }
  return found;
}

async function readFlows({ routing, auditor }: CartParts, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<Map<string, Flow>> {
  const groups = [...groupByShard(keys, routing.map)].flatMap(([shard, ofShard]) => piecesOf(ofShard).map((some) => ({ shard, some })));
  const flows = await Promise.all(groups.map(({ shard, some }) => auditor.readFlows(shard, some, deadlineMs)));
  return new Map(flows.flat().map((flow) => [flowKeyText(flow), flow]));
}

function onlyOf(cart: DecidedCart, only: string | null): DecidedCart {
  return only === null ? cart : { ...cart, lines: cart.lines.filter(({ sku_id }) => sku_id === only) };
}

function stateOf(cart: DecidedCart, state: DecidedCart['state'] | undefined): DecidedCart[] {
  return state === undefined ? [] : [{ ...cart, state }];
}

/** Carts by the shard of their records. */
function byOwner<C extends CartKey>({ routing }: CartParts, carts: readonly C[]): Map<ShardIndex, C[]> {
  const groups = new Map<ShardIndex, C[]>();
  for (const cart of carts) {
    const shard = routing.map.shardOf(cart.order_id);
    groups.set(shard, [...(groups.get(shard) ?? []), cart]);
  }
  return groups;
}

function piecesOf<T>(things: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(things.length / KEYS_AT_A_TIME) }, (_, piece) => things.slice(piece * KEYS_AT_A_TIME, (piece + 1) * KEYS_AT_A_TIME));
}

function cartText({ order_id, attempt }: CartKey): string {
  return `${order_id}\0${attempt}`;
}
