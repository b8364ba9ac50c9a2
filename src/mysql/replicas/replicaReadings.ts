import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { ReadingSource } from '../../core/ports/readingSource.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import { ReplicatedShard } from './replicatedShard.ts';
import type { ReplicatedShardOptions, ReplicatedShardState } from './replicatedShard.ts';

export interface ReplicaReadingsOptions {
  /** Shards without replicas are left out. */
  readonly shards: readonly Pick<ReplicatedShardOptions, 'shard' | 'initialShards' | 'replicas' | 'clock'>[];
  /** The shard that owns a SKU's slot, as far as this gateway's map shows. The shard itself asserts it. */
  readonly shardOf: (sku_id: string) => ShardIndex;
  /**
   * A replica that is further behind is not read. At least 500: heartbeats are written every 150 ms, read every 200.
   */
  readonly lagMsMax: number;
  /** The longest wait for the answer of one replica. */
  readonly statementMs: number;
  /** Connections of one gateway to one replica of one shard; if absent, 4. */
  readonly connections_max?: number;
}

const CONNECTIONS = 4;

/**
 * SKUs as replicas show them. Each reading has its age, because a replica that is behind shows an earlier state. A
 * replica that is too far behind, silent or unfit is not read. `Heartbeats` must run, to keep the shards' heartbeats
 * young.
 */
export class ReplicaReadings implements ReadingSource {
  readonly #shards: ReadonlyMap<ShardIndex, ReplicatedShard>;
  readonly #shardOf: (sku_id: string) => ShardIndex;

  constructor({ shards, shardOf, connections_max = CONNECTIONS, ...options }: ReplicaReadingsOptions) {
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

  /** The state of each shard that has replicas. */
  state(): readonly ReplicatedShardState[] {
    return [...this.#shards.values()].map((shard) => shard.state());
  }

  /** As the port defines it. It rejects only when no shard answers or the program has a fault. */
  async read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (StockReading | null)[]> {
    const byShard = new Map<ReplicatedShard, string[]>();
    for (const sku_id of new Set(sku_ids)) {
      const shard = this.#shards.get(this.#shardOf(sku_id));
      if (shard !== undefined) byShard.set(shard, [...(byShard.get(shard) ?? []), sku_id]);
    }
    const results = await Promise.allSettled([...byShard].map(([shard, ids]) => shard.look(ids, deadlineMs)));
    const failed = results.filter((result) => result.status === 'rejected');
    const fault = failed.find(({ reason }) => isProgramFault(reason));
    if (fault !== undefined) throw fault.reason;
    if (failed.length > 0 && failed.length === results.length) throw failed[0]?.reason;
    const known = new Map(results.flatMap((result) => (result.status === 'fulfilled' ? [...result.value] : [])));
    return sku_ids.map((sku_id) => known.get(sku_id) ?? null);
  }
}
