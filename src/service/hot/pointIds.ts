import type { HotRows, IdPage, Layouts } from '../../core/hotPorts.ts';
import { homeOf } from '../../core/layout.ts';
import type { Layout } from '../../core/layout.ts';
import type { ShardIndex } from '../../core/nouns.ts';
import type { Routing } from '../routing.ts';

/** Ids that are read, and pointed to, at a time. */
const IDS_AT_A_TIME = 1_000;
/** For one reading or writing of so many. */
const PAGE_MS = 5_000;

/** What pointing works with. */
export interface PointParts {
  readonly routing: Routing;
  readonly store: Layouts;
  readonly rows: HotRows;
}

/**
 * Writes a pointer at its home for every id that stands anywhere else. Closed rows take no ids, so what is found now is all
 * there will ever be; what carts hold there may yet be undone, and is pointed to when it is not.
 *
 * @returns whether nothing is left to be pointed to
 */
export async function pointIds(parts: PointParts, layout: Layout): Promise<boolean> {
  let isWhole = true;
  for (const shard of layout.shards) {
    for (let after: string | null = ''; after !== null;) {
      const page: IdPage = await parts.rows.readIds(
        shard,
        layout.sku_id,
        after,
        IDS_AT_A_TIME,
        performance.now() + PAGE_MS,
      );
      await pointPage(parts, layout, shard, page.ids);
      if (page.pending.some((id) => homeOf(layout.places, id).shard !== shard)) isWhole = false;
      after = page.next;
      // So that nobody takes it over as left; where it is laid out anew, this is for nothing.
      if (!(await parts.store.touch(parts.routing.map.shardOf(layout.sku_id), layout, performance.now() + PAGE_MS)))
        return false;
    }
  }
  return isWhole;
}

async function pointPage(
  { rows }: PointParts,
  { sku_id, places }: Layout,
  shard: ShardIndex,
  ids: readonly string[],
): Promise<void> {
  const groups = new Map<ShardIndex, string[]>();
  for (const id of ids) {
    const home = homeOf(places, id).shard;
    if (home !== shard) groups.set(home, [...(groups.get(home) ?? []), id]);
  }
  await Promise.all(
    [...groups].map(([home, ofHome]) => rows.point(home, sku_id, ofHome, shard, performance.now() + PAGE_MS)),
  );
}
