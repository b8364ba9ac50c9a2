import type { CartKey, ShardIndex } from '../../core/types.ts';
import type { Routing } from '../routing/routing.ts';

/** The shard with the record of a cart: the coordinator of its transaction, or the owner of the slot of its order. */
export function recordShardOf({ map }: Pick<Routing, 'map'>, { order_id, transaction }: CartKey): ShardIndex {
  return transaction?.coordinator ?? map.shardOf(order_id);
}

/** Groups carts by the shards of their records. */
export function byRecordShard<C extends CartKey>(
  routing: Pick<Routing, 'map'>,
  carts: readonly C[],
): Map<ShardIndex, C[]> {
  const groups = new Map<ShardIndex, C[]>();
  for (const cart of carts) {
    const shard = recordShardOf(routing, cart);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [cart]);
    else group.push(cart);
  }
  return groups;
}
