import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KnexMigrator } from '../../src/mysql/migrations/migrator.ts';
import { migrateShards } from '../../src/service/migrateShards.ts';
import { loadShards } from '../../src/config/shardsFile.ts';
import type { ShardConfig, ShardsFile } from '../../src/config/shardsFile.ts';
import { startCluster } from '../cluster/cluster.ts';
import type { Cluster, ClusterOptions } from '../cluster/contract.ts';
import { ownPath } from '../cluster/ownership.ts';
import { dropSchemas } from './dropSchemas.ts';
import { projectPath } from '../../src/projectPath.ts';

/** Throw-away servers with migrated shards, ready for a gateway. */
export interface Stack {
  readonly cluster: Cluster;
  readonly initialShards: number;
  readonly shards: readonly ShardConfig[];
  /** The environment of a gateway process that serves these shards. */
  readonly environment: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

export interface StackOptions extends Pick<
  ClusterOptions,
  'servers' | 'dataDirectory' | 'onProgress' | 'kind' | 'extraArguments' | 'replicas' | 'semiSync'
> {
  /** Running servers, which keep running; absent: servers are started, and stopped with the stack. */
  readonly cluster?: Cluster;
  /** Absent: 16. */
  readonly shardCount?: number;
  /** Keep the data under this name; absent: delete everything at the end. */
  readonly keep?: string;
  /** The server of a shard; absent: the same number of successive shards on each server, as in `shards.config.ts`. */
  readonly serverOf?: (shard: number) => number;
  /** Pool of each shard; absent: as in `shards.config.ts`. */
  readonly pool?: { readonly connections: number; readonly waiting: number };
}

const SHARDS = 16;
const MIGRATE_MS = 60_000;

/** Starts servers, distributes shards over them and migrates them. @throws when a step fails; nothing keeps running */
export async function startStack(options: StackOptions): Promise<Stack> {
  const cluster = options.cluster ?? (await startCluster(options));
  const name = `stockgate_${options.keep ?? randomBytes(4).toString('hex')}`;
  const directory = ownPath(join(resolve(options.dataDirectory), 'runs', 'stack'));
  const file = join(directory, 'shards.json');
  const [first] = cluster.servers;
  const environment = { STOCKGATE_SHARDS: file, STOCKGATE_MYSQL_PASSWORD: first?.password ?? '' };
  let shards: readonly ShardConfig[] = [];
  const stop = async (): Promise<void> => {
    // Servers that we started are deleted as a whole; on other servers only our schemas are dropped.
    if (options.keep === undefined && first?.pid === undefined) await dropSchemas(shards.map(({ address }) => address));
    if (options.cluster === undefined) await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, JSON.stringify(shardsFile(cluster, name, options), null, 2));
    const loaded = await loadShards(file, environment);
    shards = loaded.shards;
    options.onProgress(`migrating ${shards.length} ${shards.length === 1 ? 'shard' : 'shards'}`);
    const results = await migrateShards({
      migrator: new KnexMigrator({
        addresses: shards.map(({ address }) => address),
        initialShards: loaded.initialShards,
        directory: projectPath('migrations'),
        createSchemas: true,
      }),
      shardCount: shards.length,
      apply: true,
      // Data that was kept may be of an earlier version, and no gateway runs yet.
      shutsOutOlder: true,
      shardMs: MIGRATE_MS,
    });
    const failed = results.find(({ fault }) => fault !== null);
    if (failed !== undefined) throw new Error(`shard ${failed.shard} was not migrated: ${failed.fault}`);
    return { cluster, initialShards: loaded.initialShards, shards, environment, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function shardsFile({ servers }: Cluster, name: string, options: StackOptions): ShardsFile {
  const { shardCount = SHARDS, pool = { connections: 8, waiting: 1_000 } } = options;
  const { serverOf = (shard) => Math.floor((shard * servers.length) / shardCount) } = options;
  return {
    initialShards: shardCount,
    shards: Array.from({ length: shardCount }, (_, shard) => {
      const server = servers[serverOf(shard)];
      if (server === undefined) throw new Error('a cluster has at least one server');
      const number = String(shard).padStart(2, '0');
      const { host, port, user } = server;
      const passwordVariable = 'STOCKGATE_MYSQL_PASSWORD';
      const replicas = server.replicas.map((replica) => ({
        host: replica.host,
        port: replica.port,
        user: replica.user,
        passwordVariable,
      }));
      return {
        name: `shard-${number}`,
        primary: { host, port, user, schema: `${name}_${number}`, passwordVariable },
        ...(replicas.length > 0 && { replicas }),
        pool,
      };
    }),
  };
}
