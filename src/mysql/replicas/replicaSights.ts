import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { Sight, SightSource } from '../../core/sight.ts';
import { ReplicatedShard } from './replicatedShard.ts';
import type { ReplicatedShardOptions, ReplicatedShardState } from './replicatedShard.ts';

export interface ReplicaSightsOptions {
  /** Those without replicas are left out. */
  readonly shards: readonly Pick<ReplicatedShardOptions, 'shard' | 'initialShards' | 'replicas' | 'clock'>[];
  /** Where a SKU is at home, as far as is known; the shard itself says whether it is. */
  readonly shardOf: (sku_id: string) => ShardIndex;
  /** Who is further behind is not asked. Hearts beat every 150 ms and are looked at every 200, so half a second is the least. */
  readonly lagMsMax: number;
  /** The longest wait for the answer of one replica. */
  readonly statementMs: number;
  /** Of one gateway to one replica of one shard; absent: 4. */
  readonly connections_max?: number;
}

const CONNECTIONS = 4;

/**
 * SKUs as replicas show them. How old that is stands in each sight: a replica that is behind tells what was, and one that is
 * too far behind, silent or unfit is not asked. Somebody must keep the shards' heartbeats young (`Heartbeats`).
 */
export class ReplicaSights implements SightSource {
  readonly #shards: ReadonlyMap<ShardIndex, ReplicatedShard>;
  readonly #shardOf: (sku_id: string) => ShardIndex;

  constructor({ shards, shardOf, connections_max = CONNECTIONS, ...options }: ReplicaSightsOptions) {
    this.#shardOf = shardOf;
    const replicated = shards.filter(({ replicas }) => replicas.length > 0);
    this.#shards = new Map(
      replicated.map((shard) => [shard.shard, new ReplicatedShard({ ...options, ...shard, connections_max })]),
    );
  }

  /** Opens connections and watches the replicas from now on. */
  start(): void {
    for (const { replicas } of this.#shards.values()) for (const replica of replicas) replica.start();
  }

  stop(): void {
    for (const { replicas } of this.#shards.values()) for (const replica of replicas) replica.stop();
  }

  /** Of every shard that has replicas. */
  state(): readonly ReplicatedShardState[] {
    return [...this.#shards.values()].map((shard) => shard.state());
  }

  /** As the port says; it fails only when no shard answers. */
  async look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (Sight | null)[]> {
    const byShard = new Map<ReplicatedShard, string[]>();
    for (const sku_id of new Set(sku_ids)) {
      const shard = this.#shards.get(this.#shardOf(sku_id));
      if (shard !== undefined) byShard.set(shard, [...(byShard.get(shard) ?? []), sku_id]);
    }
    const looks = await Promise.allSettled([...byShard].map(([shard, ids]) => shard.look(ids, deadlineMs)));
    const failed = looks.filter((look) => look.status === 'rejected');
    const fault = failed.find(({ reason }) => isProgramFault(reason));
    if (fault !== undefined) throw fault.reason;
    if (failed.length > 0 && failed.length === looks.length) throw failed[0]?.reason;
    const known = new Map(looks.flatMap((look) => (look.status === 'fulfilled' ? [...look.value] : [])));
    return sku_ids.map((sku_id) => known.get(sku_id) ?? null);
  }
}
