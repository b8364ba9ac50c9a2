import type { Layout } from '../../core/layout.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { SetSale } from '../../core/operation.ts';
import type { AppliedOutcome, NotDone } from '../../core/outcome.ts';
import { applyOperation } from '../applyOperation.ts';
import type { Routed } from '../applyOperation.ts';
import type { Parts } from '../parts.ts';

type Ended = Routed<AppliedOutcome>;

/** Lets a SKU be sold or not, in all its rows: first in the first one, from which rows that open later have it. */
export async function setSaleHot(parts: Parts, operation: SetSale, deadlineMs: DeadlineMs): Promise<Ended> {
  const { layouts } = parts.hot;
  for (let hasBegun = false; ; hasBegun = true) {
    const before = await layouts.load(operation.sku_id, deadlineMs);
    if (before.is === 'not_done') return hasBegun ? unsure(before) : before;
    const first = await parts.routing.onOwners<Ended>(
      (map) => applyOperation(parts.engine, map.shardOf(operation.sku_id), operation, deadlineMs) as Promise<Ended>,
    );
    if (first.is !== 'applied') return hasBegun && first.is === 'not_done' ? unsure(first) : first;
    const owner = parts.routing.map.shardOf(operation.sku_id);
    const others = (before.layout?.shards ?? []).filter((shard) => shard !== owner);
    const row = { sub_row: 0, epoch: before.layout?.epoch ?? 0 };
    const outcomes = await Promise.all(
      others.map((shard) => applyOperation(parts.engine, shard, { ...operation, row }, deadlineMs)),
    );
    // A shard that had a row once and has none now has nothing to pause.
    if (!outcomes.every((outcome) => outcome.is === 'applied' || outcome.is === 'refused'))
      return { is: 'unknown', reason: 'not every row of the SKU could be reached' };
    const after = await layouts.load(operation.sku_id, deadlineMs);
    if (after.is === 'not_done') return unsure(after);
    // Rows that were opened meanwhile, or are being opened, may have it as it was before.
    if (isSettled(before.layout) && after.layout?.revision === before.layout?.revision) return first;
    if (performance.now() >= deadlineMs)
      return { is: 'unknown', reason: 'the rows of the SKU moved for the whole time' };
  }
}

function isSettled(layout: Layout | null): boolean {
  return layout === null || layout.state === 'open' || layout.state === 'single';
}

/** The first row may have it already. */
function unsure({ reason }: NotDone): Ended {
  return { is: 'unknown', reason };
}
