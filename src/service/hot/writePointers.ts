import type { HotRows, IdPage } from '../../core/ports/hotRows.ts';
import type { Layouts } from '../../core/ports/layouts.ts';
import { rowOfId } from '../../core/hot/layout.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { ShardIndex } from '../../core/types.ts';
import type { Routing } from '../routing/routing.ts';

/** The ids of one page: read together, and their pointers written together. */
const PAGE_IDS_MAX = 1_000;
/** For one read or write of a page. */
const PAGE_MS = 5_000;

/** The ports for writing pointers. */
export interface PointerPorts {
  readonly routing: Routing;
  readonly store: Layouts;
  readonly rows: HotRows;
}

/**
 * Writes a pointer for every id whose flow does not lie on the shard of the present layout. The pointer lies on that
 * shard. Closed rows take no ids, so no later flow is missed. A flow that a cart holds may yet be undone, so it gets
 * its pointer only after the cart has been completed.
 *
 * @returns whether every id has its pointer
 */
export async function writePointers(ports: PointerPorts, layout: Layout): Promise<boolean> {
  let isComplete = true;
  for (const shard of layout.shards) {
    for (let after: string | null = ''; after !== null;) {
      const page: IdPage = await ports.rows.readIds(
        shard,
        layout.sku_id,
        after,
        PAGE_IDS_MAX,
        performance.now() + PAGE_MS,
      );
      await pointPage(ports, layout, shard, page.ids);
      if (page.pending.some((id) => rowOfId(layout.placement, id).shard !== shard)) isComplete = false;
      after = page.next;
      // Shows that work goes on, so that no gateway takes the SKU over. If the layout was replaced, the pointers are of
      // no use.
      if (!(await ports.store.touch(ports.routing.map.shardOf(layout.sku_id), layout, performance.now() + PAGE_MS)))
        return false;
    }
  }
  return isComplete;
}

async function pointPage(
  { rows }: PointerPorts,
  { sku_id, placement }: Layout,
  shard: ShardIndex,
  ids: readonly string[],
): Promise<void> {
  const groups = new Map<ShardIndex, string[]>();
  for (const id of ids) {
    const owner = rowOfId(placement, id).shard;
    if (owner !== shard) groups.set(owner, [...(groups.get(owner) ?? []), id]);
  }
  await Promise.all(
    [...groups].map(([owner, ofOwner]) =>
      rows.writePointers(owner, sku_id, ofOwner, shard, performance.now() + PAGE_MS),
    ),
  );
}
