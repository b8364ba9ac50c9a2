import { rowOfId } from '../../core/hot/layout.ts';
import type { DeadlineMs, Line, ShardIndex } from '../../core/types.ts';
import type { LineWithRow } from '../../core/operation.ts';
import type { DeductOutcome, Misrouted, BlockedByHolds } from '../../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { completeBlockingHolds } from '../carts/completeHolds.ts';
import { applyWithTransfers } from '../hot/applyWithTransfers.ts';
import { byShard, isMisrouted, withRouting } from '../routing/lineRouter.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { applyJointlyOnce, sellOnShards } from '../carts/sellOnShards.ts';
import type { OrderLine } from '../carts/orderParts.ts';

export interface Order {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly Line[];
}

export type OrderOutcome = Exclude<Routed<DeductOutcome>, BlockedByHolds>;

export interface OrderAnswer {
  readonly outcome: OrderOutcome;
  /** False when a power failure of a shard's server may lose the effect. */
  readonly durable: boolean;
}

/**
 * Takes the stock of all lines of an order, or of none: in one local transaction when one server has all lines, else in
 * a transaction over several servers.
 */
export async function deductOrder(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<OrderAnswer> {
  // Refused lines and replays count too: the hot-key tracker counts requests.
  for (const { sku_id } of order.lines) ports.hotKeys.add(sku_id, 1);
  const only = onlyShardOf(ports, order.lines);
  if (only === null) return deductOnShards(ports, order, deadlineMs);
  const outcome = await applyOnce(ports, order, only, deadlineMs);
  // This is nearly always the end. If not, nothing was done, and the slower path handles redirects and holds.
  if (isMisrouted(outcome)) return deductWithRetries(ports, order, deadlineMs, outcome);
  if (outcome.is === 'pending') return deductWithRetries(ports, order, deadlineMs, null);
  return {
    outcome,
    durable: only.isSplit ? isDurable(ports, order, [only.shard]) : ports.shards.isDurable(only.shard),
  };
}

async function deductOnShards(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<OrderAnswer> {
  const lines = linesOnOneGroup(ports, order.lines);
  if (lines === null) return deductWithRetries(ports, order, deadlineMs, null);
  const outcome = await applyJointlyOnce(ports, order, lines, deadlineMs);
  if (isMisrouted(outcome)) return deductWithRetries(ports, order, deadlineMs, outcome);
  if (outcome.is === 'pending') return deductWithRetries(ports, order, deadlineMs, null);
  const shards = lines.map(({ shard }) => shard);
  return { outcome, durable: isDurable(ports, order, shards) };
}

/** The lines with their shards, if those are known without a read and commit together; else null. */
function linesOnOneGroup(ports: ServicePorts, lines: readonly Line[]): readonly OrderLine[] | null {
  let only: string | null = null;
  const routed: OrderLine[] = [];
  for (const line of lines) {
    if (ports.hot.layouts.cached(line.sku_id) !== null) return null;
    const shard = ports.routing.map.shardOf(line.sku_id);
    const group = ports.engine.groupOf(shard);
    if (group === null || (only !== null && group !== only)) return null;
    only = group;
    routed.push({ ...line, shard });
  }
  return routed;
}

interface OnlyShard {
  readonly shard: ShardIndex;
  readonly lines: readonly LineWithRow[];
  /** Whether the line belongs to a sub-row of a split SKU. */
  readonly isSplit: boolean;
}

/** The shard of all lines, if it is known without a read and the lines need no cart; else null. */
function onlyShardOf(ports: ServicePorts, lines: readonly Line[]): OnlyShard | null {
  const { layouts } = ports.hot;
  const [first] = lines;
  if (lines.length === 1 && first !== undefined) {
    const layout = layouts.cachedForRequest(first.sku_id);
    if (layout?.earlierPlacements.length === 0) {
      const { sku_id, order_detail_id, quantity } = first;
      const { shard, sub_row } = rowOfId(layout.placement, order_detail_id);
      return {
        shard,
        lines: [{ sku_id, order_detail_id, quantity, row: { sub_row, epoch: layout.epoch } }],
        isSplit: true,
      };
    }
  }
  let only: ShardIndex | null = null;
  for (const { sku_id } of lines) {
    const shard = ports.routing.map.shardOf(sku_id);
    if ((only !== null && shard !== only) || layouts.cached(sku_id) !== null) return null;
    only = shard;
  }
  return only === null ? null : { shard: only, lines, isSplit: false };
}

function applyOnce(
  ports: ServicePorts,
  { order_id }: Order,
  { shard, lines, isSplit }: OnlyShard,
  deadlineMs: DeadlineMs,
): Promise<DeductOutcome> {
  const operation = { kind: 'deduct', order_id, lines } as const;
  return isSplit
    ? applyWithTransfers(ports, shard, operation, deadlineMs)
    : applyOperation(ports.engine, shard, operation, deadlineMs);
}

/** Waits for carts that block the lines, follows redirects, and sells over several shards. */
async function deductWithRetries(
  ports: ServicePorts,
  order: Order,
  deadlineMs: DeadlineMs,
  first: Misrouted | null,
): Promise<OrderAnswer> {
  let shards: readonly ShardIndex[] = [];
  const outcome = await withRouting<Line, OrderOutcome>(
    ports,
    order.lines,
    deadlineMs,
    async (routed) => {
      const [only, ...others] = byShard(routed);
      if (only === undefined) throw new Error('an order has at least one line');
      shards = [only[0], ...others.map(([shard]) => shard)];
      if (others.length > 0) {
        // A cart with attempts is decided on the shard of its order, so that shard counts too.
        shards = [...shards, ports.routing.map.shardOf(order.order_id)];
        return sellOnShards(ports, order, routed, deadlineMs);
      }
      const ended = await completeBlockingHolds<DeductOutcome>(ports, deadlineMs, deadlineMs, only[0], () =>
        applyAlone(ports, order, only, deadlineMs),
      );
      // Not "sold out": units that undecided carts hold may come back.
      return ended.is === 'pending'
        ? { is: 'not_done', reason: 'undecided carts blocked the order until its deadline' }
        : ended;
    },
    first,
  );
  // Read at the end: before the write, the durability of a shard that had not been reached was not known.
  return { outcome, durable: isDurable(ports, order, shards) };
}

/**
 * Whether all shards of an order are durable. Units of a split SKU may have come from any shard of its layout: a shard
 * that loses their debit has these units twice.
 */
function isDurable({ hot, shards }: ServicePorts, { lines }: Order, usedShards: readonly ShardIndex[]): boolean {
  for (const shard of usedShards) if (!shards.isDurable(shard)) return false;
  for (const { sku_id } of lines)
    for (const shard of hot.layouts.cached(sku_id)?.shards ?? []) if (!shards.isDurable(shard)) return false;
  return true;
}

function applyAlone(
  ports: ServicePorts,
  { order_id }: Order,
  [shard, lines]: readonly [ShardIndex, readonly RoutedToShard<Line>[]],
  deadlineMs: DeadlineMs,
): Promise<DeductOutcome> {
  return applyWithTransfers(ports, shard, { kind: 'deduct', order_id, lines: lines.map(placedOf) }, deadlineMs);
}

function placedOf({ sku_id, order_detail_id, quantity, row }: RoutedToShard<Line>): LineWithRow {
  return row === undefined ? { sku_id, order_detail_id, quantity } : { sku_id, order_detail_id, quantity, row };
}
