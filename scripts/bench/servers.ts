import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryOnce } from '../cluster/queryOnce.ts';
import type { Cluster } from '../cluster/contract.ts';
import { findTool, REDIS } from '../cluster/install/tools.ts';
import { startGatewayProcess } from '../support/gatewayProcess.ts';
import { startStack } from '../support/stack.ts';
import type { Stack } from '../support/stack.ts';
import type { TextbookCartsSettings } from './apps/textbookCartSale.ts';
import type { ServerName } from './arms.ts';
import { startRedisStore } from './redisServer.ts';
import { openBenchStock } from './stock.ts';
import type { BenchStock } from './stock.ts';

/** A process that takes orders, with its databases. */
export interface Serving {
  readonly url: string;
  /** The listener with its counts of outcomes; null where the process does not count them. */
  readonly adminUrl: string | null;
  readonly pid: number;
  /** The processes of MySQL or Redis; undefined in place of a process that is not ours. */
  readonly storePids: readonly (number | undefined)[];
  /** Counts the transactions so far that wrote something; absent where the arm does not need it. */
  readonly countCommits?: () => Promise<number>;
  /** Counts the statements that its databases have received so far; absent where the arm does not need it. */
  readonly countStatements?: () => Promise<number>;
  /** null: it keeps no stock. */
  readonly stock: BenchStock | null;
}

interface Running {
  readonly serving: Serving;
  stop(): Promise<unknown>;
}

export interface ServersOptions {
  readonly dataDirectory: string;
  readonly say: (line: string) => void;
  readonly stack: Stack;
  /** A folder for files of this run. */
  readonly scratch: string;
  /** Set for every gateway. */
  readonly gatewayEnvironment: NodeJS.ProcessEnv;
  /** Set for every Node.js process. */
  readonly nodeFlags: readonly string[];
}

/** The pool of each shard in a gateway. */
export const POOL = { connections: 8, waiting: 10_000 };
const ANSWER_MS = 5_000;
/** No gateway refuses early until gateways without the pre-check are certain to have left the shards: this long. */
const PRECHECK_READY_MS = 32_000;

/** Starts the processes under test, each when it is first needed. */
export class Servers {
  readonly #options: ServersOptions;
  readonly #running = new Map<ServerName, Running>();
  readonly #shelves = new Map<Stack, BenchStock>();
  #oneShard: Promise<Stack> | null = null;
  #oneShardStarted: Stack | null = null;
  readonly #starters: Readonly<Record<ServerName, (pool: number) => Promise<Running | null>>> = {
    echo: () => this.#startApp('scripts/bench/apps/echo.ts', { storePids: [], stock: null }),
    gateway: () => this.#startGateway(this.#options.stack, { STOCKGATE_ENGINE: 'batching' }),
    gateway_prechecked: () => this.#startPrechecked(),
    gateway_traced: () => this.#startTraced(1),
    gateway_traced_little: () => this.#startTraced(0.01),
    gateway_1_shard: () => this.#startOnOneShard(),
    textbook: (pool) =>
      this.#startGateway(this.#options.stack, {
        STOCKGATE_ENGINE: 'textbook',
        STOCKGATE_SHARDS: withPool(this.#options.stack, this.#options.scratch, pool),
      }),
    textbook_carts: (pool) => this.#startTextbookCarts(pool),
    redis: () => this.#startRedis(),
  };

  constructor(options: ServersOptions) {
    this.#options = options;
  }

  /** @returns null where the server cannot be had */
  async serve(name: ServerName, pool = POOL.connections): Promise<Serving | null> {
    const found = this.#running.get(name) ?? (await this.#starters[name](pool));
    if (found !== null) this.#running.set(name, found);
    return found?.serving ?? null;
  }

  /** Stops all servers but these. */
  async keepOnly(names: readonly ServerName[]): Promise<void> {
    for (const [name, { stop }] of this.#running) {
      if (names.includes(name)) continue;
      this.#running.delete(name);
      await stop();
    }
  }

  async stop(): Promise<void> {
    await this.keepOnly([]);
    for (const open of this.#shelves.values()) await open.close();
    await this.#oneShardStarted?.stop();
  }

  async #startGateway(stack: Stack, environment: NodeJS.ProcessEnv): Promise<Running> {
    const { gatewayEnvironment, nodeFlags } = this.#options;
    const ports = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'fatal' };
    const { publicUrl, adminUrl, pid, stop } = await startGatewayProcess(
      { ...stack.environment, ...ports, ...gatewayEnvironment, ...environment },
      undefined,
      nodeFlags,
    );
    return {
      serving: {
        url: publicUrl,
        adminUrl,
        pid,
        storePids: pidsOf(this.#options.stack),
        stock: await this.#shelvesOf(stack),
      },
      stop,
    };
  }

  async #startApp(
    entry: string,
    more: Pick<Serving, 'storePids' | 'stock'>,
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Running> {
    const { publicUrl, pid, stop } = await startGatewayProcess(environment, entry, this.#options.nodeFlags);
    return { serving: { url: publicUrl, adminUrl: null, pid, ...more }, stop };
  }

  async #startPrechecked(): Promise<Running> {
    const { stack } = this.#options;
    const { serving, stop } = await this.#startGateway(stack, {
      STOCKGATE_ENGINE: 'batching',
      STOCKGATE_PRECHECK: 'memory',
    });
    await sleep(PRECHECK_READY_MS);
    return { serving: { ...serving, countStatements: () => countStatements(stack.cluster) }, stop };
  }

  /** The collector is a process of its own beside the gateway, as in production. Its CPU is not counted. */
  async #startTraced(share: number): Promise<Running> {
    const { stack, nodeFlags } = this.#options;
    const collector = await startGatewayProcess({}, 'scripts/bench/apps/collector.ts', nodeFlags);
    const gateway = await this.#startGateway(stack, {
      STOCKGATE_ENGINE: 'batching',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.publicUrl,
      OTEL_TRACES_SAMPLER_ARG: String(share),
    });
    return { ...gateway, stop: async () => [await gateway.stop(), await collector.stop()] };
  }

  async #startOnOneShard(): Promise<Running> {
    const { stack, dataDirectory } = this.#options;
    this.#oneShard ??= startStack({
      cluster: stack.cluster,
      servers: 1,
      shardCount: 1,
      dataDirectory,
      onProgress: () => undefined,
      pool: POOL,
    });
    const oneShard = await this.#oneShard;
    this.#oneShardStarted = oneShard;
    return this.#startGateway(oneShard, { STOCKGATE_ENGINE: 'batching' });
  }

  async #startTextbookCarts(connections: number): Promise<Running> {
    const { stack } = this.#options;
    const settings: TextbookCartsSettings = { addresses: stack.shards.map(({ address }) => address), connections };
    const { serving, stop } = await this.#startApp(
      'scripts/bench/apps/textbookCarts.ts',
      { storePids: pidsOf(stack), stock: await this.#shelvesOf(stack) },
      { BENCH_TEXTBOOK_CARTS: JSON.stringify(settings) },
    );
    return { serving: { ...serving, adminUrl: serving.url }, stop };
  }

  async #startRedis(): Promise<Running | null> {
    const { dataDirectory, scratch, say } = this.#options;
    const command = await findTool(REDIS, dataDirectory, say);
    if (command === null) return null;
    const redis = await startRedisStore(command, join(scratch, 'redis'));
    const app = await this.#startApp(
      'scripts/bench/apps/redis.ts',
      { storePids: [redis.pid], stock: redis.stock },
      { BENCH_REDIS_PORT: String(redis.port) },
    );
    return { ...app, stop: async () => [await app.stop(), await redis.stop()] };
  }

  async #shelvesOf(stack: Stack): Promise<BenchStock> {
    const known = this.#shelves.get(stack) ?? (await openBenchStock(stack.shards));
    this.#shelves.set(stack, known);
    return known;
  }
}

function pidsOf({ cluster }: Stack): (number | undefined)[] {
  return cluster.servers.map(({ pid }) => pid);
}

async function countStatements({ servers }: Cluster): Promise<number> {
  const counts = await Promise.all(
    servers.map((server) => queryOnce(server, "SHOW GLOBAL STATUS LIKE 'Questions'", ANSWER_MS)),
  );
  return counts.reduce((sum, row) => sum + Number(row['Value']), 0);
}

/** Writes the shards file of a stack with pools of another size. @returns its path */
function withPool(stack: Stack, scratch: string, connections: number): string {
  const file = JSON.parse(readFileSync(stack.environment['STOCKGATE_SHARDS'] ?? '', 'utf8')) as { shards: object[] };
  const path = join(scratch, `shards-${connections}.json`);
  writeFileSync(
    path,
    JSON.stringify({ ...file, shards: file.shards.map((shard) => ({ ...shard, pool: { ...POOL, connections } })) }),
  );
  return path;
}
