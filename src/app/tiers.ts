import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { DeadlineMs, ShardIndex } from '../core/types.ts';
import type { ReplicaState } from '../core/ports/shardOverview.ts';
import type { StockReading } from '../core/precheck/stockReading.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { Heartbeats } from '../mysql/replicas/heartbeats.ts';
import { ReplicaReadings } from '../mysql/replicas/replicaReadings.ts';
import { ShardStockReader } from '../mysql/stock/shardStockReader.ts';
import type { Shard } from '../mysql/shard.ts';
import { RedisReadings } from '../redis/redisReadings.ts';
import type { LayoutCache } from '../service/routing/layoutCache.ts';
import { findAvailability } from '../service/stock/findAvailability.ts';
import type { AvailabilityPorts, AvailableStock, Consistency } from '../service/stock/findAvailability.ts';
import { Precheck } from '../service/precheck/precheck.ts';
import { PrimaryReadings } from '../service/precheck/primaryReadings.ts';
import { ReadingCache } from '../service/precheck/readingCache.ts';
import { Tier } from '../service/precheck/tier.ts';
import type { TierWatcher } from '../service/precheck/tier.ts';
import type { Routing } from '../service/routing/routing.ts';

/** The longest waits of a request for a tier. A tier that takes longer is slower than the engine. */
const REDIS_WAIT_MS = 25;
const REPLICA_WAIT_MS = 50;
/** A stored reading that is older cannot be used for any answer. */
const REDIS_KEEP_MS = 5_000;
/** A replica that lags further behind cannot refuse an order. */
const LAG_MS_MAX = 2_000;

/** The pre-check, and the reads of available stock. */
export interface Tiers {
  /** Null: no tier is on. */
  readonly precheck: Precheck | null;
  /** @returns one entry per SKU, in the order of the request; null: its shard does not answer */
  findAvailability(
    sku_ids: readonly string[],
    consistency: Consistency,
    deadlineMs: DeadlineMs,
  ): Promise<readonly (AvailableStock | null)[]>;
  replicasOf(shard: ShardIndex): readonly ReplicaState[];
  start(): void;
  stop(): Promise<void>;
}

export interface TiersOptions {
  readonly config: Pick<Config, 'tiers' | 'cachedAgeMs' | 'redis' | 'shards' | 'initialShards' | 'statementMs'>;
  readonly log: Logger;
  readonly shards: readonly Shard[];
  readonly routing: Routing;
  readonly layouts: LayoutCache;
  readonly metrics: Metrics;
  readonly readSku: AvailabilityPorts['readSku'];
  readonly onFault: (error: unknown) => void;
}

/** Makes the tiers that are on. */
export function createTiers(options: TiersOptions): Tiers {
  const { config, shards, routing, layouts, metrics, onFault } = options;
  const redis = createRedis(options);
  const replicas = createReplicas(options);
  const stockReader = new ShardStockReader(shards);
  const primary = new PrimaryReadings({ stockReader, routing, layouts }, true);
  const forReading = new PrimaryReadings({ stockReader, routing, layouts }, false);
  const cache = new ReadingCache();
  const watcher: TierWatcher = metrics.tiers(() => precheck?.sizes ?? { skus: 0, ids: 0 });
  const remote = [
    ...(redis === null ? [] : [new Tier('redis', redis, REDIS_WAIT_MS, watcher, onFault)]),
    ...(replicas === null ? [] : [new Tier('replica', replicas.readings, REPLICA_WAIT_MS, watcher, onFault)]),
  ];
  const tell = (readings: readonly StockReading[]): void => {
    void cache.store(readings);
    void redis?.store(readings);
  };
  const hasMemory = config.tiers.includes('memory');
  const precheck =
    hasMemory || remote.length > 0
      ? new Precheck({
          routing,
          layouts,
          stockReader,
          primary,
          hasMemory,
          tiers: remote,
          cacheReadings: tell,
          watcher,
          onFault,
        })
      : null;
  const availability: AvailabilityPorts = {
    cached: [cache, ...remote],
    primary: forReading,
    readSku: options.readSku,
    cacheReadings: (readings) => void cache.store(readings),
    ageMsMax: config.cachedAgeMs,
  };
  return {
    precheck,
    findAvailability: (sku_ids, consistency, deadlineMs) =>
      findAvailability(availability, sku_ids, consistency, deadlineMs),
    replicasOf: (shard) => replicas?.readings.state().find((each) => each.shard === shard)?.replicas ?? [],
    start() {
      redis?.start();
      replicas?.readings.start();
      replicas?.heartbeats.start();
      precheck?.start();
    },
    async stop() {
      await precheck?.stop();
      replicas?.readings.stop();
      await replicas?.heartbeats.stop();
      await redis?.stop();
    },
  };
}

function createRedis({ config: { tiers, redis }, shards, routing, log }: TiersOptions): RedisReadings | null {
  if (redis === null || !tiers.includes('redis')) return null;
  return new RedisReadings({
    ...redis,
    secretOf: (sku_id) => shards[routing.map.shardOf(sku_id)]?.precheck.secret ?? null,
    commandMs: REDIS_WAIT_MS,
    keepMs: REDIS_KEEP_MS,
    onEvent: ({ kind, what }) =>
      kind === 'connected' ? log.info({ redis: what }, 'redis connected') : log.warn({ redis: what, kind }, 'redis'),
  });
}

/** Makes the readings of replicas. Heartbeats are written only when the replica tier is on. */
function createReplicas({
  config,
  shards,
  routing,
  onFault,
}: TiersOptions): { readonly readings: ReplicaReadings; readonly heartbeats: Heartbeats } | null {
  if (!config.tiers.includes('replica')) return null;
  const replicated = shards.flatMap((shard, index) => {
    const replicas = config.shards[index]?.replicas ?? [];
    return replicas.length === 0 ? [] : [{ shard, replicas }];
  });
  return {
    readings: new ReplicaReadings({
      shards: replicated.map(({ shard, replicas }) => ({
        shard: shard.index,
        initialShards: config.initialShards,
        replicas,
        clock: shard.clock,
      })),
      shardOf: (sku_id) => routing.map.shardOf(sku_id),
      lagMsMax: LAG_MS_MAX,
      statementMs: config.statementMs,
    }),
    heartbeats: new Heartbeats(
      replicated.map(({ shard }) => shard),
      onFault,
    ),
  };
}
