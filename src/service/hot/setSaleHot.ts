import type { Layout } from '../../core/hot/layout.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { SetSale } from '../../core/operation.ts';
import type { AppliedOutcome, NotDone } from '../../core/outcome.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import type { Routed } from '../orders/applyOperation.ts';
import type { ServicePorts } from '../servicePorts.ts';

type Outcome = Routed<AppliedOutcome>;

/**
 * Starts or pauses the sale of a SKU in all its rows. The first row comes first, because rows that open later copy its
 * state.
 */
export async function setSaleHot(ports: ServicePorts, operation: SetSale, deadlineMs: DeadlineMs): Promise<Outcome> {
  const { layouts } = ports.hot;
  for (let hasBegun = false; ; hasBegun = true) {
    const before = await layouts.load(operation.sku_id, deadlineMs);
    if (before.is === 'not_done') return hasBegun ? unsure(before) : before;
    const first = await ports.routing.onOwners<Outcome>(
      (map) => applyOperation(ports.engine, map.shardOf(operation.sku_id), operation, deadlineMs) as Promise<Outcome>,
    );
    if (first.is !== 'applied') return hasBegun && first.is === 'not_done' ? unsure(first) : first;
    const owner = ports.routing.map.shardOf(operation.sku_id);
    const others = (before.layout?.shards ?? []).filter((shard) => shard !== owner);
    const row = { sub_row: 0, epoch: before.layout?.epoch ?? 0 };
    const outcomes = await Promise.all(
      others.map((shard) => applyOperation(ports.engine, shard, { ...operation, row }, deadlineMs)),
    );
    // A shard that had a row once and has none now refuses: there is nothing to pause.
    if (!outcomes.every((outcome) => outcome.is === 'applied' || outcome.is === 'refused'))
      return { is: 'unknown', reason: 'not every row of the SKU could be reached' };
    const after = await layouts.load(operation.sku_id, deadlineMs);
    if (after.is === 'not_done') return unsure(after);
    // Rows that were opened meanwhile, or are being opened, may have copied the state from before.
    if (isAtRest(before.layout) && after.layout?.revision === before.layout?.revision) return first;
    if (performance.now() >= deadlineMs)
      return { is: 'unknown', reason: 'the layout of the SKU kept changing until the deadline' };
  }
}

/** Whether no layout change is under way. */
function isAtRest(layout: Layout | null): boolean {
  return layout === null || layout.state === 'open' || layout.state === 'single';
}

/** The outcome after an earlier round may have changed the first row. */
function unsure({ reason }: NotDone): Outcome {
  return { is: 'unknown', reason };
}
