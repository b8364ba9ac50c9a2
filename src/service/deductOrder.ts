import type { DeadlineMs, Line } from '../core/nouns.ts';
import type { DeductOutcome, Pending } from '../core/outcome.ts';
import { groupByShard } from '../core/plan.ts';
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
  const outcome = await parts.routing.onOwners<OrderOutcome>(async (map) => {
    const [first, ...others] = groupByShard(order.lines, map).keys();
    if (first === undefined) throw new Error('an order has at least one line');
    if (others.length > 0) return sellCart(parts, order, deadlineMs);
    const ended = await pastHolds<DeductOutcome>(parts, deadlineMs, deadlineMs, () =>
      applyOperation(parts.engine, first, { kind: 'deduct', ...order }, deadlineMs),
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
