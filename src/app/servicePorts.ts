import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { BackendPorts } from './backendPorts.ts';
import type { Config } from '../config/config.ts';
import { HotKeyTracker } from '../core/hot/hotKeyTracker.ts';
import type { ShardIndex } from '../core/types.ts';
import type { StockEngine } from '../core/ports/stockEngine.ts';
import { SlotMap } from '../core/slots.ts';
import { atMostEvery } from '../log.ts';
import { createMetrics } from '../metrics/metrics.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { MysqlBackend } from './mysqlBackend.ts';
import { BackgroundTasks } from '../service/tasks/backgroundTasks.ts';
import { shareHoldCompletion } from '../service/carts/holdCompletion.ts';
import { createHotServices } from '../service/hot/hotServices.ts';
import type { ServicePorts } from '../service/servicePorts.ts';
import { AdmissionQueue } from '../service/admission/admissionQueue.ts';
import { readSku } from '../service/stock/readSku.ts';
import { Routing } from '../service/routing/routing.ts';
import { Sweeper } from '../service/carts/sweeper.ts';
import type { UnreadableRows } from '../service/tasks/unreadableRows.ts';
import { WatchedEngine } from '../service/tasks/watchedEngine.ts';
import type { FailedOperation } from '../service/tasks/watchedEngine.ts';
import { createContinuousReconciliation } from './reconciliation.ts';
import { createTiers } from './tiers.ts';
import type { Tiers } from './tiers.ts';

/**
 * At most one operation that was not done or is in doubt is logged in this time, per shard and ending. All are counted.
 */
const LOG_EVERY_MS = 1_000;

/**
 * The most orders over several servers under way in one gateway, and the most that wait. The batches bound what they
 * send to one server; these bounds keep a locked SKU, or copies of one order, from taking all memory.
 */
const CARTS_MAX = 2_048;
const CARTS_WAITING_MAX = 2_048;
/** Of one order 64 copies wait: they are replays once the first copy has been sold. */
const WAITING_SHARE_MIN = 1 / 32;

/** How often each gateway looks for unfinished carts, and the most rows that it takes on in one sweep. */
const SWEEP_MS = 1_000;
const SWEEP_ROWS_MAX = 200;

export interface ServicePortsOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly backend: MysqlBackend;
  /** The ports of the back end, perhaps decorated by a test. */
  readonly ports: BackendPorts;
  readonly unreadable: UnreadableRows;
  readonly onFault: (error: unknown) => void;
}

/** The ports of the use cases, and the tasks that run beside requests. */
export interface GatewayServices {
  readonly ports: ServicePorts;
  readonly metrics: Metrics;
  readonly tiers: Tiers;
  /** Each runs from its start to its stop. */
  readonly tasks: readonly { start(): void; stop(): Promise<unknown> }[];
}

/** Makes the ports that the use cases of both listeners work with. Nothing runs before the tasks are started. */
export function createServicePorts({
  config,
  log,
  backend,
  ports,
  unreadable,
  onFault,
}: ServicePortsOptions): GatewayServices {
  const { overview, shards } = backend;
  const nameOf = (shard: ShardIndex): string => config.shards[shard]?.name ?? '';
  const hotKeys = new HotKeyTracker();
  const metrics = createMetrics(
    () => overview.shards(),
    () => hotKeys.hottest(),
  );
  metrics.unreadable(() => unreadable.counts().map((count) => ({ ...count, shard: nameOf(count.shard) })));
  const engine = watchEngine(ports.engine, { config, log, metrics });
  const routing = new Routing(new SlotMap(config.initialShards), ports.slots, shards.length);
  const hot = createHotServices({
    routing,
    engine,
    store: ports.layouts,
    rows: ports.hotRows,
    servers: shards.map(({ server }) => server),
    newId: () => randomBytes(16).toString('hex'),
    onFault,
  });
  const parts: ServicePorts = {
    ...{ routing, engine, hotKeys, hot },
    reader: ports.reader,
    carts: ports.carts,
    records: ports.records,
    shards: overview,
    backgroundTasks: new BackgroundTasks(onFault),
    cartQueue: new AdmissionQueue(CARTS_MAX, CARTS_WAITING_MAX, WAITING_SHARE_MIN),
    holdCompletion: shareHoldCompletion(),
  };
  const tiers = createTiers({
    ...{ config, log, shards, routing, layouts: hot.layouts, metrics, onFault },
    readSku: (sku_id, deadlineMs) => readSku({ routing, reader: ports.reader, hot }, sku_id, deadlineMs),
  });
  const sweeper = new Sweeper(parts, {
    shardCount: shards.length,
    everyMs: SWEEP_MS,
    rowsMax: SWEEP_ROWS_MAX,
    onSwept: (shard, leftOver) => metrics.swept(nameOf(shard), leftOver),
    onUnreadable: (row) => unreadable.add(row),
    onFault,
  });
  const reconciler = createContinuousReconciliation({ config, log, shards, routing, metrics, onFault });
  return {
    ports: parts,
    metrics,
    tiers,
    tasks: [sweeper, hot.maintainer, ...(reconciler === null ? [] : [reconciler])],
  };
}

/** Counts and logs the operations that were not done or are in doubt. */
function watchEngine(
  engine: StockEngine,
  { config, log, metrics }: { readonly config: Config; readonly log: Logger; readonly metrics: Metrics },
): StockEngine {
  const logSome = atMostEvery<FailedOperation>(
    LOG_EVERY_MS,
    ({ shard, ending }) => `${shard} ${ending}`,
    ({ shard, ...ended }, alike) =>
      log.warn({ shard: config.shards[shard]?.name, ...ended, alike }, 'operation not done or in doubt'),
  );
  return new WatchedEngine(engine, (ended) => {
    metrics.withoutOutcome(ended.operation, ended.ending);
    logSome(ended);
  });
}
