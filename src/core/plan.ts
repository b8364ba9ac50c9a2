import type { ShardIndex } from './nouns.ts';
import type { SlotMap } from './slots.ts';

/** Groups things that name a SKU by the shard that owns it, each group in the order given. */
export function groupByShard<T extends { readonly sku_id: string }>(
  things: readonly T[],
  map: SlotMap,
): Map<ShardIndex, T[]> {
  const groups = new Map<ShardIndex, T[]>();
  for (const thing of things) {
    const shard = map.shardOf(thing.sku_id);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [thing]);
    else group.push(thing);
  }
  return groups;
}
