import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { queryOnce } from '../cluster/queryOnce.ts';
import type { Cluster } from '../cluster/contract.ts';
import { ownPath } from '../cluster/ownership.ts';
import { findTool, WRK } from '../cluster/install/tools.ts';
import { startStack } from '../support/stack.ts';
import type { Stack, StackOptions } from '../support/stack.ts';
import type { ServerName, WorldName } from './arms.ts';
import { builtInGenerator, wrkGenerator } from './load/run.ts';
import type { Generator } from './load/run.ts';
import { POOL, Servers } from './servers.ts';
import type { Serving } from './servers.ts';

/**
 * The same for every Koa that is measured. With V8's default semi-space, a quarter of the time is spent on the
 * collection of young objects.
 */
export const NODE_FLAGS = ['--max-semi-space-size=64'];

/** The servers of a world, and the environment of its gateways. */
export interface Setting extends Pick<StackOptions, 'servers' | 'kind' | 'extraArguments'> {
  /** System variables of a server, with their required values. */
  readonly demands: Readonly<Record<string, number>>;
  readonly gateway: NodeJS.ProcessEnv;
}

/** Everything that is started for the benchmark. */
export interface BenchWorld {
  readonly product: string;
  readonly generatorName: string;
  readonly generator: Generator;
  /** A folder for files of this run. */
  readonly scratch: string;
  readonly stack: Stack;
  /**
   * Starts a server unless it runs.
   *
   * @param pool connections per shard, of the textbook gateway
   * @returns null where it cannot be had
   */
  serve(name: ServerName, pool?: number): Promise<Serving | null>;
  /** Stops all servers but these, so that no idle server disturbs a measurement. */
  keepOnly(names: readonly ServerName[]): Promise<void>;
  stop(): Promise<void>;
}

const ANSWER_MS = 5_000;
/** Production runs with these settings, so they are measured. */
const DURABLE = { innodb_flush_log_at_trx_commit: 1, sync_binlog: 1, log_bin: 1 };
// The largest pool of the textbook gateway on sixteen shards is more than the default of a server.
const ONE_SERVER: Setting = { servers: 1, extraArguments: ['--max-connections=4000'], demands: {}, gateway: {} };

/** In the order in which they are measured. */
export const WORLDS: Readonly<Record<WorldName, Setting>> = {
  one_server: ONE_SERVER,
  four_servers: { servers: 4, demands: {}, gateway: {} },
};

export async function startBenchWorld(
  dataDirectory: string,
  say: (line: string) => void,
  setting: Setting,
): Promise<BenchWorld> {
  const { demands, gateway: gatewayEnvironment, ...servers } = setting;
  const wrkCommand = await findTool(WRK, dataDirectory, say);
  const scratch = ownPath(join(resolve(dataDirectory), 'runs', 'bench'));
  const stack = await startStack({ ...servers, dataDirectory, onProgress: say, pool: POOL });
  mkdirSync(scratch, { recursive: true });
  const underTest = new Servers({
    ...{ dataDirectory, say, stack, scratch, gatewayEnvironment },
    nodeFlags: NODE_FLAGS,
  });
  const world: BenchWorld = {
    product: stack.cluster.product,
    generatorName: wrkCommand === null ? 'built-in' : 'wrk',
    generator: wrkCommand === null ? builtInGenerator : wrkGenerator(wrkCommand),
    scratch,
    stack,
    keepOnly: (names) => underTest.keepOnly(names),
    serve: (name, pool) => underTest.serve(name, pool),
    async stop() {
      await underTest.stop();
      await stack.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
  try {
    await assertSettings(stack.cluster, { ...DURABLE, ...demands });
  } catch (error) {
    await world.stop();
    throw error;
  }
  return world;
}

/** @throws unless every server has these settings */
async function assertSettings({ servers }: Cluster, settings: Setting['demands']): Promise<void> {
  const names = Object.keys(settings);
  for (const server of servers) {
    const found = await queryOnce(
      server,
      `SELECT ${names.map((name) => `@@${name} AS ${name}`).join(', ')}`,
      ANSWER_MS,
    );
    const wrong = names.filter((name) => found[name] !== settings[name]);
    if (wrong.length === 0) continue;
    const faults = wrong.map((name) => `${name} is ${found[name]}, expected ${settings[name]}`);
    throw new Error(`${faults.join(', ')}; nothing is measured on such a server`);
  }
}
