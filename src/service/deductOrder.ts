import type { DeadlineMs, Line, ShardIndex } from '../core/nouns.ts';
import type { DeductOutcome } from '../core/outcome.ts';
import { groupByShard } from '../core/plan.ts';
import type { ShardOverview, StockEngine } from '../core/ports.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import type { Routing } from './routing.ts';

export interface Order {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly Line[];
}

/** Lines on several shards: there is no way yet to do all of them or none. */
export interface NeedsCart {
  readonly is: 'needs_cart';
}

export type OrderOutcome = Routed<DeductOutcome> | NeedsCart;

export interface OrderAnswer {
  readonly outcome: OrderOutcome;
  /** False when what was done may be lost with the power of a shard's server. */
  readonly durable: boolean;
}

/** Takes the stock of all lines of an order, or of none. */
export async function deductOrder(
  parts: { readonly routing: Routing; readonly engine: StockEngine; readonly shards: ShardOverview },
  order: Order,
  deadlineMs: DeadlineMs,
): Promise<OrderAnswer> {
  let owner: ShardIndex | null = null;
  const outcome = await parts.routing.onOwners<OrderOutcome>(async (map) => {
    const [first, ...others] = groupByShard(order.lines, map).keys();
    if (first === undefined) throw new Error('an order has at least one line');
    if (others.length > 0) return { is: 'needs_cart' };
    owner = first;
    return applyOperation(parts.engine, first, { kind: 'deduct', ...order }, deadlineMs);
  });
  // Asked afterwards: before, a shard that had not been reached yet was not known.
  return { outcome, durable: owner === null || parts.shards.isDurable(owner) };
}
