import type { ShardIndex } from './types.ts';
import type { SlotMap } from './slots.ts';

/** Groups items by the shard that owns the slot of their SKU. Each group keeps the order of the items. */
export function groupByShard<T extends { readonly sku_id: string }>(
  items: readonly T[],
  map: SlotMap,
): Map<ShardIndex, T[]> {
  const groups = new Map<ShardIndex, T[]>();
  for (const item of items) {
    const shard = map.shardOf(item.sku_id);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [item]);
    else group.push(item);
  }
  return groups;
}
