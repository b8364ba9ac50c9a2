import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { Generations } from './core/generations.ts';
import { Heat } from './core/heat.ts';
import type { HotRows, Layouts } from './core/hotPorts.ts';
import type { ShardIndex } from './core/nouns.ts';
import type { CartRecords, SlotSource, StockEngine, StockReader } from './core/ports.ts';
import { SlotMap } from './core/slots.ts';
import type { NoteUnreadable } from './core/unreadable.ts';
import { adminRoutes } from './http/adminRoutes.ts';
import { listenerApp } from './http/listener.ts';
import type { ListenerOptions } from './http/listener.ts';
import { describe } from './http/openapi.ts';
import { publicRoutes } from './http/publicRoutes.ts';
import { methodsOf } from './http/route.ts';
import type { Route } from './http/route.ts';
import { listen } from './http/server.ts';
import type { RunningServer } from './http/server.ts';
import { answerLog, atMostEvery } from './log.ts';
import type { MetricsSnapshot } from './metrics/addUp.ts';
import { createMetrics } from './metrics/metrics.ts';
import { BatchingEngine } from './mysql/batching/batchingEngine.ts';
import { CartStore } from './mysql/cartStore.ts';
import { HotRowStore } from './mysql/hot/hotRowStore.ts';
import { LayoutStore } from './mysql/hot/layoutStore.ts';
import { Shard } from './mysql/shard.ts';
import { ShardReader } from './mysql/shardReader.ts';
import { TextbookEngine } from './mysql/textbookEngine.ts';
import { Afterwork } from './service/afterwork.ts';
import { followHeat } from './service/followHeat.ts';
import { shareFreeing } from './service/freeHolds.ts';
import type { Parts } from './service/parts.ts';
import { Places } from './service/places.ts';
import { createHot } from './service/hot/hot.ts';
import { readSku } from './service/readSku.ts';
import { Routing } from './service/routing.ts';
import { Sweeper } from './service/sweeper.ts';
import { UnreadableRows } from './service/unreadableRows.ts';
import { WatchedEngine } from './service/watchedEngine.ts';
import type { NoVerdict } from './service/watchedEngine.ts';
import { createRates } from './rates.ts';
import { adminServices, publicServices } from './services.ts';
import type { Served } from './services.ts';
import { createTiers } from './tiers.ts';
import { createTracer } from './traces.ts';
import { alone } from './workers/siblings.ts';
import type { Siblings } from './workers/siblings.ts';

/** Of operations without a verdict, one a second is logged for each shard and ending; all are counted. */
const LOG_EVERY_MS = 1_000;

/** Left for what goes on behind answers when a drain has used up its time. */
const FINISH_MS_MIN = 500;

/** Carts under way at once in one gateway; more would only wait for each other's connections and rows. */
const CARTS_MAX = 16;
const CARTS_WAITING_MAX = 1_000;

/** How often each gateway looks for what carts have left over, and how much of it it takes on at a time. */
const SWEEP_MS = 1_000;
const SWEEP_ROWS_MAX = 200;

/** How often the rates of SKUs are worked out. */
const HEAT_WINDOW_MS = 1_000;

const ENGINES: Readonly<Record<Config['engine'], (shards: readonly Shard[], config: Config) => StockEngine>> = {
  batching: (shards, { batchLinesMax }) => new BatchingEngine(shards, batchLinesMax),
  textbook: (shards, { batchLinesMax }) => new TextbookEngine(shards, new BatchingEngine(shards, batchLinesMax)),
};

/** The ways from the services to the shards. */
export interface Ports {
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly slots: SlotSource;
  readonly carts: CartRecords;
  readonly layouts: Layouts;
  readonly hotRows: HotRows;
}

/** A gateway that listens. */
export interface Gateway {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** The series of this process. */
  metricsSnapshot(): Promise<MetricsSnapshot>;
  /** Stops being ready, finishes what is in flight and lets go of the shards. Can be called again. */
  drain(): Promise<void>;
}

/**
 * Builds a gateway and starts it: the only place that makes adapters and hands them to services. It comes up whichever
 * shards are missing; those are tried again for as long as it runs.
 *
 * @param decorate puts something around the ports; tests place their fail-points here
 * @param siblings the other processes behind the same listeners
 * @throws when a listener's address cannot be used
 */
export async function startGateway(
  config: Config,
  log: Logger,
  decorate: (ports: Ports) => Ports = (ports) => ports,
  siblings: Siblings = alone(),
): Promise<Gateway> {
  const onFault = (error: unknown): void => log.error({ err: error }, 'fault');
  const generations = new Generations(config.shards.length);
  const shards = config.shards.map(
    (shard, index) =>
      new Shard({
        ...shard,
        shard: index,
        initialShards: config.initialShards,
        statementMs: config.statementMs,
        relaxedAllowed: config.relaxedAllowed,
        isPrechecked: config.tiers.length > 0,
        generations,
        onFault,
        onNotMovedOn: (reason) =>
          log.warn({ shard: shard.name, reason }, 'shard not moved on: a restore may go unseen'),
        onChange: ({ name, state, reason }) =>
          state === 'serving'
            ? log.info({ shard: name }, 'shard serving')
            : log.warn({ shard: name, state, reason }, 'shard not served'),
      }),
  );
  const nameOf = (shard: ShardIndex): string => config.shards[shard]?.name ?? '';
  const unreadable = new UnreadableRows(({ shard, ...row }) =>
    log.error({ shard: nameOf(shard), ...row }, 'unreadable row left alone'),
  );
  const onUnreadable: NoteUnreadable = (row) => unreadable.note(row);
  const reader = new ShardReader(shards, onUnreadable);
  const ports = decorate({
    ...{
      engine: ENGINES[config.engine](shards, config),
      reader,
      slots: reader,
      carts: new CartStore(shards, onUnreadable),
    },
    ...{ layouts: new LayoutStore(shards, onUnreadable), hotRows: new HotRowStore(shards, onUnreadable) },
  });
  const heat = new Heat();
  const metrics = createMetrics(
    () => reader.shards(),
    () => heat.hottest(),
  );
  metrics.unreadable(() => unreadable.counts().map((count) => ({ ...count, shard: nameOf(count.shard) })));
  const logNoVerdict = atMostEvery<NoVerdict>(
    LOG_EVERY_MS,
    ({ shard, ending }) => `${shard} ${ending}`,
    ({ shard, ...ended }, alike) => log.warn({ shard: config.shards[shard]?.name, ...ended, alike }, 'no verdict'),
  );
  const engine = new WatchedEngine(ports.engine, (ended) => {
    metrics.withoutVerdict(ended.operation, ended.ending);
    logNoVerdict(ended);
  });
  const routing = new Routing(new SlotMap(config.initialShards), ports.slots, shards.length);
  const afterwork = new Afterwork(onFault);
  const hot = createHot({
    routing,
    engine,
    store: ports.layouts,
    rows: ports.hotRows,
    servers: shards.map(({ server }) => server),
    newId: () => randomBytes(16).toString('hex'),
    onFault,
  });
  const tiers = createTiers({
    ...{ config, log, shards, routing, layouts: hot.layouts, metrics, onFault },
    readSku: (sku_id, deadlineMs) => readSku({ routing, reader: ports.reader, hot }, sku_id, deadlineMs),
  });
  const rates = createRates(config, log);
  const tracer = await createTracer(config, log);
  const parts: Parts = {
    routing,
    engine,
    reader: ports.reader,
    carts: ports.carts,
    shards: reader,
    afterwork,
    cartPlaces: new Places(CARTS_MAX, CARTS_WAITING_MAX),
    freeing: shareFreeing(),
    heat,
    hot,
  };
  const sweeper = new Sweeper(parts, {
    shardCount: shards.length,
    everyMs: SWEEP_MS,
    rowsMax: SWEEP_ROWS_MAX,
    onSwept: (shard, leftOver) => metrics.swept(nameOf(shard), leftOver),
    onUnreadable,
    onFault,
  });
  let draining: Promise<void> | null = null;
  let started = false;

  const served: Served = {
    ...{ config, parts, tiers, metrics, siblings, shards: reader, journal: reader },
    isReady: () => started && draining === null,
    description: () => description,
  };
  const routesOfPublic = publicRoutes(publicServices(served));
  const routesOfAdmin = adminRoutes(adminServices(served));
  const description = JSON.stringify(
    describe([
      { tag: 'public', routes: routesOfPublic },
      { tag: 'admin', routes: routesOfAdmin },
    ]),
  );

  const logAnswer = answerLog(log);
  const open = (routes: readonly Route[], listener: Config['public'], limits: Pick<ListenerOptions, 'mayAsk'> = {}) =>
    listen(
      listenerApp({
        ...limits,
        ...(tracer !== null && { tracer }),
        routes,
        tokens: listener.tokens,
        requestMs: config.requestMs,
        onAnswered(answered) {
          metrics.answered(answered);
          logAnswer(answered);
        },
        onFault: (error, at) => log.error({ err: error, ...at }, 'fault'),
        isDraining: () => draining !== null,
      }),
      methodsOf(routes),
      listener.host,
      listener.port,
    );

  // Each shard says what it owns; who does not answer is tried again by its pool, and holds up nobody.
  await Promise.all(shards.map((shard) => shard.tried));
  await Promise.all(shards.map((shard) => shard.lookAgain()));
  await routing.refresh();
  const stopHeat = followHeat(heat, HEAT_WINDOW_MS);
  const servers: RunningServer[] = [];
  const close = async (waitMs: number): Promise<void> => {
    const untilMs = performance.now() + waitMs;
    await Promise.all(servers.map((server) => server.drain(waitMs)));
    stopHeat();
    await tiers.stop();
    await rates.stop();
    // What is not done by then is the sweepers' of other gateways.
    afterwork.add(() => sweeper.stop());
    afterwork.add(() => hot.keeper.stop());
    await afterwork.finish(Math.max(FINISH_MS_MIN, untilMs - performance.now()));
    for (const shard of shards) shard.pool.close();
    await tracer?.stop();
  };
  try {
    servers.push(await open(routesOfPublic, config.public, rates.limits));
    servers.push(await open(routesOfAdmin, config.admin));
  } catch (error) {
    await close(0);
    throw error;
  }
  started = true;
  sweeper.start();
  tiers.start();
  hot.keeper.start();

  const [publicUrl = '', adminUrl = ''] = servers.map(urlOf);
  return {
    publicUrl,
    adminUrl,
    metricsSnapshot: () => metrics.snapshot(),
    drain() {
      draining ??= new Promise<void>((resolve) => setTimeout(resolve, config.leaveMs)).then(() =>
        close(config.drainMs),
      );
      return draining;
    },
  };
}

function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
