import type { DeadlineMs, Line, ShardIndex } from '../core/nouns.ts';
import type { Deduct } from '../core/operation.ts';
import type { DeductOutcome, Pending } from '../core/outcome.ts';
import { groupByShard } from '../core/plan.ts';
import type { SlotMap } from '../core/slots.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { pastHolds } from './freeHolds.ts';
import type { Parts } from './parts.ts';
import { sellCart } from './sellCart.ts';

export interface Order {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly Line[];
}

export type OrderOutcome = Exclude<Routed<DeductOutcome>, Pending>;

export interface OrderAnswer {
  readonly outcome: OrderOutcome;
  /** False when what was done may be lost with the power of a shard's server. */
  readonly durable: boolean;
}

/** Takes the stock of all lines of an order, or of none: in one transaction where one shard has them all, as a cart otherwise. */
export async function deductOrder(parts: Parts, order: Order, deadlineMs: DeadlineMs): Promise<OrderAnswer> {
  // Also what will be refused or replayed: heat is what is asked.
  for (const { sku_id } of order.lines) parts.heat.add(sku_id, 1);
  const only = onlyShard(order.lines, parts.routing.map);
  if (only !== null) {
    const outcome = await applyOperation(parts.engine, only, deductionOf(order), deadlineMs);
    // Nearly always that is all. Otherwise nothing was done, and it is begun anew with all that may be in the way.
    if (outcome.is !== 'pending' && outcome.is !== 'not_mine') return { outcome, durable: parts.shards.isDurable(only) };
  }
  return deductWithPatience(parts, order, deadlineMs);
}

function deductionOf({ order_id, lines }: Order): Deduct {
  return { kind: 'deduct', order_id, lines };
}

/** The shard that owns all of some lines, or null. */
function onlyShard(lines: readonly Line[], map: SlotMap): ShardIndex | null {
  let only: ShardIndex | null = null;
  for (const { sku_id } of lines) {
    const shard = map.shardOf(sku_id);
    if (only !== null && shard !== only) return null;
    only = shard;
  }
  return only;
}

/** Waits for carts that are in the way, asks for the owners again, sells over several shards. */
async function deductWithPatience(parts: Parts, order: Order, deadlineMs: DeadlineMs): Promise<OrderAnswer> {
  const outcome = await parts.routing.onOwners<OrderOutcome>(async (map) => {
    const [first, ...others] = groupByShard(order.lines, map).keys();
    if (first === undefined) throw new Error('an order has at least one line');
    if (others.length > 0) return sellCart(parts, order, deadlineMs);
    const ended = await pastHolds<DeductOutcome>(parts, deadlineMs, deadlineMs, () =>
      applyOperation(parts.engine, first, deductionOf(order), deadlineMs),
    );
    // Never "sold out": what undecided carts hold may come back.
    return ended.is === 'pending' ? { is: 'not_done', reason: 'undecided carts were in the way for the whole time' } : ended;
  });
  // Asked afterwards: before, a shard that had not been reached yet was not known.
  return { outcome, durable: shardsOf(parts, order).every((shard) => parts.shards.isDurable(shard)) };
}

/** Of a cart also the shard of its record, which is where it is decided. */
function shardsOf({ routing }: Parts, { order_id, lines }: Order): number[] {
  const shards = [...groupByShard(lines, routing.map).keys()];
  return shards.length > 1 ? [...shards, routing.map.shardOf(order_id)] : shards;
}
