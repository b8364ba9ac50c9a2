import { homeOf } from '../core/layout.ts';
import type { DeadlineMs, Line, ShardIndex } from '../core/nouns.ts';
import type { PlacedLine } from '../core/operation.ts';
import type { DeductOutcome, Misplaced, Pending } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { pastHolds } from './freeHolds.ts';
import { applyFunded } from './hot/applyFunded.ts';
import { byShard, isMisplaced, onHomes } from './hot/placing.ts';
import type { At } from './hot/placing.ts';
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
  const only = onlyPlace(parts, order.lines);
  if (only === null) return deductWithPatience(parts, order, deadlineMs, null);
  const outcome = await applyOnce(parts, order, only, deadlineMs);
  // Nearly always that is all. Otherwise nothing was done, and it is begun anew with all that may be in the way.
  if (isMisplaced(outcome)) return deductWithPatience(parts, order, deadlineMs, outcome);
  if (outcome.is === 'pending') return deductWithPatience(parts, order, deadlineMs, null);
  return {
    outcome,
    durable: only.isSplit ? isDurable(parts, order, [only.shard]) : parts.shards.isDurable(only.shard),
  };
}

interface OnlyPlace {
  readonly shard: ShardIndex;
  readonly lines: readonly PlacedLine[];
  /** Whether the rows are some of many. */
  readonly isSplit: boolean;
}

/** The shard of all lines, where that is known without asking and they need no cart; or null. */
function onlyPlace(parts: Parts, lines: readonly Line[]): OnlyPlace | null {
  const { layouts } = parts.hot;
  const [first] = lines;
  if (lines.length === 1 && first !== undefined) {
    const layout = layouts.forUse(first.sku_id);
    if (layout?.earlier.length === 0) {
      const { sku_id, order_detail_id, quantity } = first;
      const { shard, sub_row } = homeOf(layout.places, order_detail_id);
      return {
        shard,
        lines: [{ sku_id, order_detail_id, quantity, row: { sub_row, epoch: layout.epoch } }],
        isSplit: true,
      };
    }
  }
  let only: ShardIndex | null = null;
  for (const { sku_id } of lines) {
    const shard = parts.routing.map.shardOf(sku_id);
    if ((only !== null && shard !== only) || layouts.known(sku_id) !== null) return null;
    only = shard;
  }
  return only === null ? null : { shard: only, lines, isSplit: false };
}

function applyOnce(
  parts: Parts,
  { order_id }: Order,
  { shard, lines, isSplit }: OnlyPlace,
  deadlineMs: DeadlineMs,
): Promise<DeductOutcome> {
  const operation = { kind: 'deduct', order_id, lines } as const;
  return isSplit
    ? applyFunded(parts, shard, operation, deadlineMs)
    : applyOperation(parts.engine, shard, operation, deadlineMs);
}

/** Waits for carts that are in the way, looks for the right place again, sells over several shards. */
async function deductWithPatience(
  parts: Parts,
  order: Order,
  deadlineMs: DeadlineMs,
  first: Misplaced | null,
): Promise<OrderAnswer> {
  let shards: readonly ShardIndex[] = [];
  const outcome = await onHomes<Line, OrderOutcome>(
    parts,
    order.lines,
    deadlineMs,
    async (placed) => {
      const [only, ...others] = byShard(placed);
      if (only === undefined) throw new Error('an order has at least one line');
      shards = [only[0], ...others.map(([shard]) => shard)];
      if (others.length > 0) {
        // Also the shard of its record, which is where it is decided.
        shards = [...shards, parts.routing.map.shardOf(order.order_id)];
        return sellCart(parts, order, deadlineMs);
      }
      const ended = await pastHolds<DeductOutcome>(parts, deadlineMs, deadlineMs, only[0], () =>
        applyAlone(parts, order, only, deadlineMs),
      );
      // Never "sold out": what undecided carts hold may come back.
      return ended.is === 'pending'
        ? { is: 'not_done', reason: 'undecided carts were in the way for the whole time' }
        : ended;
    },
    first,
  );
  // Asked afterwards: before, a shard that had not been reached yet was not known.
  return { outcome, durable: isDurable(parts, order, shards) };
}

/** Units of a split SKU may have come from any shard that it lies on, and must not be left there twice. */
function isDurable({ hot, shards }: Parts, { lines }: Order, asked: readonly ShardIndex[]): boolean {
  for (const shard of asked) if (!shards.isDurable(shard)) return false;
  for (const { sku_id } of lines)
    for (const shard of hot.layouts.known(sku_id)?.shards ?? []) if (!shards.isDurable(shard)) return false;
  return true;
}

function applyAlone(
  parts: Parts,
  { order_id }: Order,
  [shard, lines]: readonly [ShardIndex, readonly At<Line>[]],
  deadlineMs: DeadlineMs,
): Promise<DeductOutcome> {
  return applyFunded(parts, shard, { kind: 'deduct', order_id, lines: lines.map(placedOf) }, deadlineMs);
}

function placedOf({ sku_id, order_detail_id, quantity, row }: At<Line>): PlacedLine {
  return row === undefined ? { sku_id, order_detail_id, quantity } : { sku_id, order_detail_id, quantity, row };
}
