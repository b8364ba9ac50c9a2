import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../cluster/ask.ts';
import type { Cluster } from '../cluster/contract.ts';
import { ownPath } from '../cluster/ownership.ts';
import { findTool, REDIS, WRK } from '../cluster/tools.ts';
import { startGatewayProcess } from '../support/gatewayProcess.ts';
import { startStack } from '../support/stack.ts';
import type { Stack, StackOptions } from '../support/stack.ts';
import type { ServerName } from './arms.ts';
import { builtIn, wrk } from './load/run.ts';
import type { Generator } from './load/run.ts';
import { startRedisStore } from './redisServer.ts';
import { openShelves } from './shelves.ts';
import type { Shelves } from './shelves.ts';

/** The same for every Koa that is measured: with V8's own half space, a quarter of the time goes to collecting young objects. */
export const NODE_FLAGS = ['--max-semi-space-size=64'];

/** A process that takes orders, with what lies behind it. */
export interface Serving {
  readonly url: string;
  /** Where it counts its outcomes; null where it does not. */
  readonly adminUrl: string | null;
  readonly pid: number;
  /** MySQL's or Redis's processes; undefined in place of those that are not ours. */
  readonly storePids: readonly (number | undefined)[];
  /** Transactions so far that wrote something, where that is asked for. */
  readonly countCommits?: () => Promise<number>;
  /** Statements that its databases have been sent so far, where that is asked for. */
  readonly countStatements?: () => Promise<number>;
  /** null: it keeps nothing. */
  readonly shelves: Shelves | null;
}

/** The servers of a world, and what its gateways are told. */
export interface Setting extends Pick<StackOptions, 'servers' | 'kind' | 'extraArguments'> {
  /** Variables of a server and what they must be. */
  readonly demands: Readonly<Record<string, number>>;
  readonly gateway: NodeJS.ProcessEnv;
}

/** Everything that is started for the benchmark. */
export interface World {
  readonly product: string;
  readonly generatorName: string;
  readonly generator: Generator;
  /** For files of this run. */
  readonly scratch: string;
  readonly stack: Stack;
  /** Starts a server unless it runs. @param pool connections per shard, of the textbook gateway @returns null where it cannot be had */
  serve(name: ServerName, pool?: number): Promise<Serving | null>;
  /** Stops all servers but these, so that nobody idle disturbs a measurement. */
  keepOnly(names: readonly ServerName[]): Promise<void>;
  stop(): Promise<void>;
}

const ANSWER_MS = 5_000;
/** Until gateways that would not know of it are sure to be gone from the shards. */
const PRECHECK_READY_MS = 32_000;
const POOL = { connections: 8, waiting: 10_000 };
/** What is measured is what will run. */
const DURABLE = { innodb_flush_log_at_trx_commit: 1, sync_binlog: 1, log_bin: 1 };
// The textbook gateway's largest pool on sixteen shards is more than a server of ours takes by itself.
const ONE_SERVER: Setting = { servers: 1, extraArguments: ['--max-connections=4000'], demands: {}, gateway: {} };

interface Running {
  readonly serving: Serving;
  stop(): Promise<unknown>;
}

export async function startWorld(
  dataDirectory: string,
  say: (line: string) => void,
  setting = ONE_SERVER,
): Promise<World> {
  const { demands, gateway: toldGateways, ...servers } = setting;
  const wrkCommand = await findTool(WRK, dataDirectory, say);
  const scratch = ownPath(join(resolve(dataDirectory), 'runs', 'bench'));
  const stack = await startStack({ ...servers, dataDirectory, say, pool: POOL });
  const running = new Map<ServerName, Running>();
  const shelvesOf = new Map<Stack, Shelves>();
  const parts: { stop(): Promise<unknown> }[] = [stack];
  mkdirSync(scratch, { recursive: true });
  const { cluster } = stack;

  const shelves = async (of: Stack): Promise<Shelves> => {
    const known = shelvesOf.get(of) ?? (await openShelves(of.shards));
    shelvesOf.set(of, known);
    return known;
  };
  const startGateway = async (of: Stack, environment: NodeJS.ProcessEnv): Promise<Running> => {
    const ports = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'fatal' };
    const gateway = await startGatewayProcess(
      { ...of.environment, ...ports, ...toldGateways, ...environment },
      undefined,
      NODE_FLAGS,
    );
    const { publicUrl, adminUrl, pid } = gateway;
    return {
      serving: {
        url: publicUrl,
        adminUrl,
        pid,
        storePids: cluster.servers.map((server) => server.pid),
        shelves: await shelves(of),
      },
      stop: gateway.stop,
    };
  };
  const startApp = async (
    entry: string,
    more: Pick<Serving, 'storePids' | 'shelves'>,
    environment = {},
  ): Promise<Running> => {
    const { publicUrl, pid, stop } = await startGatewayProcess(environment, entry, NODE_FLAGS);
    return { serving: { url: publicUrl, adminUrl: null, pid, ...more }, stop };
  };

  /** The collector is a process of its own beside the gateway, as it would be; its CPU is nobody's. */
  const startTraced = async (share: number): Promise<Running> => {
    const collector = await startGatewayProcess({}, 'scripts/bench/apps/collector.ts', NODE_FLAGS);
    const gateway = await startGateway(stack, {
      STOCKGATE_ENGINE: 'batching',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.publicUrl,
      OTEL_TRACES_SAMPLER_ARG: String(share),
    });
    return { ...gateway, stop: async () => [await gateway.stop(), await collector.stop()] };
  };

  let oneShard: Promise<Stack> | null = null;
  const starters: Readonly<Record<ServerName, (pool: number) => Promise<Running | null>>> = {
    echo: () => startApp('scripts/bench/apps/echo.ts', { storePids: [], shelves: null }),
    gateway: () => startGateway(stack, { STOCKGATE_ENGINE: 'batching' }),
    async gateway_prechecked() {
      const { serving, stop } = await startGateway(stack, {
        STOCKGATE_ENGINE: 'batching',
        STOCKGATE_PRECHECK: 'memory',
      });
      await sleep(PRECHECK_READY_MS);
      return { serving: { ...serving, countStatements: () => countStatements(cluster) }, stop };
    },
    gateway_traced: () => startTraced(1),
    gateway_traced_little: () => startTraced(0.01),
    async gateway_1_shard() {
      oneShard ??= startStack({ cluster, servers: 1, shardCount: 1, dataDirectory, say: () => undefined, pool: POOL });
      const of = await oneShard;
      if (!parts.includes(of)) parts.push(of);
      return startGateway(of, { STOCKGATE_ENGINE: 'batching' });
    },
    textbook: (pool) =>
      startGateway(stack, { STOCKGATE_ENGINE: 'textbook', STOCKGATE_SHARDS: withPool(stack, scratch, pool) }),
    async redis() {
      const command = await findTool(REDIS, dataDirectory, say);
      if (command === null) return null;
      const redis = await startRedisStore(command, join(scratch, 'redis'));
      const app = await startApp(
        'scripts/bench/apps/redis.ts',
        { storePids: [redis.pid], shelves: redis.shelves },
        { BENCH_REDIS_PORT: String(redis.port) },
      );
      return { ...app, stop: async () => [await app.stop(), await redis.stop()] };
    },
  };

  const keepOnly = async (names: readonly ServerName[]): Promise<void> => {
    for (const [name, { stop }] of running) {
      if (names.includes(name)) continue;
      running.delete(name);
      await stop();
    }
  };
  const world: World = {
    product: cluster.product,
    generatorName: wrkCommand === null ? 'built-in' : 'wrk',
    generator: wrkCommand === null ? builtIn : wrk(wrkCommand),
    scratch,
    stack,
    keepOnly,
    async serve(name, pool = POOL.connections) {
      const found = running.get(name) ?? (await starters[name](pool));
      if (found !== null) running.set(name, found);
      return found?.serving ?? null;
    },
    async stop() {
      await keepOnly([]);
      for (const open of shelvesOf.values()) await open.close();
      for (const part of parts.splice(0).reverse()) await part.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
  try {
    await demandOf(cluster, { ...DURABLE, ...demands });
  } catch (error) {
    await world.stop();
    throw error;
  }
  return world;
}

/** @throws unless every server has these settings */
async function demandOf({ servers }: Cluster, settings: Setting['demands']): Promise<void> {
  const names = Object.keys(settings);
  for (const server of servers) {
    const found = await ask(server, `SELECT ${names.map((name) => `@@${name} AS ${name}`).join(', ')}`, ANSWER_MS);
    const wrong = names.filter((name) => found[name] !== settings[name]);
    if (wrong.length === 0) continue;
    throw new Error(
      `${wrong.map((name) => `${name} is ${found[name]}, not ${settings[name]}`).join(', ')}; nothing is measured on such a server`,
    );
  }
}

async function countStatements({ servers }: Cluster): Promise<number> {
  const counts = await Promise.all(
    servers.map((server) => ask(server, "SHOW GLOBAL STATUS LIKE 'Questions'", ANSWER_MS)),
  );
  return counts.reduce((sum, row) => sum + Number(row['Value']), 0);
}

/** The shards file of a stack with pools of another size. @returns its path */
function withPool(stack: Stack, scratch: string, connections: number): string {
  const file = JSON.parse(readFileSync(stack.environment['STOCKGATE_SHARDS'] ?? '', 'utf8')) as { shards: object[] };
  const path = join(scratch, `shards-${connections}.json`);
  writeFileSync(
    path,
    JSON.stringify({ ...file, shards: file.shards.map((shard) => ({ ...shard, pool: { ...POOL, connections } })) }),
  );
  return path;
}
