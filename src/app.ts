import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { SlotMap } from './core/slots.ts';
import { adminRoutes } from './http/adminRoutes.ts';
import type { AdminServices } from './http/adminRoutes.ts';
import { listenerApp } from './http/listener.ts';
import { describe } from './http/openapi.ts';
import { publicRoutes } from './http/publicRoutes.ts';
import type { PublicServices } from './http/publicRoutes.ts';
import type { Route } from './http/route.ts';
import { listen } from './http/server.ts';
import { createMetrics } from './metrics/metrics.ts';
import { Shard } from './mysql/shard.ts';
import { ShardReader } from './mysql/shardReader.ts';
import { TextbookEngine } from './mysql/textbookEngine.ts';
import { changeStock } from './service/changeStock.ts';
import { deductOrder } from './service/deductOrder.ts';
import { findDeductions } from './service/findDeductions.ts';
import { readSku } from './service/readSku.ts';
import { Routing } from './service/routing.ts';
import { WatchedEngine } from './service/watchedEngine.ts';

/** A gateway that listens. */
export interface Gateway {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** Stops being ready, finishes what is in flight and lets go of the shards. Can be called again. */
  drain(): Promise<void>;
}

/**
 * Builds a gateway and starts it: the only place that makes adapters and hands them to services. It comes up whichever
 * shards are missing; those are tried again for as long as it runs.
 *
 * @throws when a listener's address cannot be used
 */
export async function startGateway(config: Config, log: Logger): Promise<Gateway> {
  const shards = config.shards.map(
    (shard, index) =>
      new Shard({
        ...shard,
        shard: index,
        initialShards: config.initialShards,
        statementMs: config.statementMs,
        relaxedAllowed: config.relaxedAllowed,
        onChange: ({ name, state, reason }) =>
          state === 'serving' ? log.info({ shard: name }, 'shard serving') : log.warn({ shard: name, state, reason }, 'shard not served'),
      }),
  );
  const reader = new ShardReader(shards);
  const metrics = createMetrics(() => reader.shards());
  const engine = new WatchedEngine(new TextbookEngine(shards), ({ shard, operation, ending, reason }) => {
    metrics.doubted(operation, ending);
    log.warn({ shard: shards[shard]?.state().name, operation, ending, reason }, 'no verdict');
  });
  const routing = new Routing(new SlotMap(config.initialShards), reader, shards.length);
  const parts = { routing, engine, reader, shards: reader };
  let draining: Promise<void> | null = null;
  let started = false;

  const forPublic: PublicServices = {
    deductOrder: (order, deadlineMs) => deductOrder(parts, order, deadlineMs),
    findDeductions: (keys, deadlineMs) => findDeductions(parts, keys, deadlineMs),
    readSku: (sku_id, deadlineMs) => readSku(parts, sku_id, deadlineMs),
  };
  const forAdmin: AdminServices = {
    changeStock: (operation, deadlineMs) => changeStock(parts, operation, deadlineMs),
    shards: () => reader.shards(),
    slotCounts: () => routing.map.slotCounts(),
    readiness: () => ({
      ready: started && draining === null && reader.shards().some(({ state }) => state === 'serving'),
      durable: reader.shards().every(({ durable }) => durable),
    }),
    metrics: () => metrics.scrape(),
    description: () => description,
  };
  const routesOfPublic = publicRoutes(forPublic);
  const routesOfAdmin = adminRoutes(forAdmin);
  const description = JSON.stringify(
    describe([
      { tag: 'public', routes: routesOfPublic },
      { tag: 'admin', routes: routesOfAdmin },
    ]),
  );

  const open = (routes: readonly Route[], listener: Config['public']) =>
    listen(
      listenerApp({
        routes,
        tokens: listener.tokens,
        requestMs: config.requestMs,
        onAnswered: (request) => metrics.answered(request),
        onFault: (error, route) => log.error({ err: error, route }, 'fault'),
        isDraining: () => draining !== null,
      }),
      listener.host,
      listener.port,
    );

  // Each shard says what it owns; who does not answer is tried again by its pool, and holds up nobody.
  await Promise.all(shards.map((shard) => shard.tried));
  await routing.refresh(performance.now() + config.requestMs);
  const publicServer = await open(routesOfPublic, config.public);
  const adminServer = await open(routesOfAdmin, config.admin).catch(async (error: unknown) => {
    await publicServer.drain(0);
    throw error;
  });
  started = true;

  return {
    publicUrl: urlOf(publicServer),
    adminUrl: urlOf(adminServer),
    drain() {
      draining ??= (async () => {
        await publicServer.drain(config.drainMs);
        await adminServer.drain(config.drainMs);
        for (const shard of shards) shard.pool.close();
      })();
      return draining;
    },
  };
}

function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
