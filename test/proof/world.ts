import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import type { DatabaseServer } from '../../scripts/cluster/contract.ts';
import type { RedisProcess } from '../../scripts/cluster/redis/redis.ts';
import { ownPath } from '../../scripts/cluster/ownership.ts';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { projectPath } from '../../src/projectPath.ts';
import type { Stack } from '../../scripts/support/stack.ts';
import { tierEnvironment } from '../../scripts/support/tiers.ts';
import type { ShardsFile } from '../../src/config/shardsFile.ts';
import type { EngineName } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';
import { GatewaySlot } from './slot.ts';

/** The system that a round breaks and repairs: real servers, a proxy in front of each, and gateways behind them. */
export interface ProofWorld {
  readonly stack: Stack;
  readonly servers: readonly DatabaseServer[];
  readonly proxies: readonly WireProxy[];
  readonly gateways: readonly GatewaySlot[];
  /** Other tests use the shards too, and may have left differences in them. */
  readonly isShared: boolean;
  /** Whether gateways refuse early, so that new units of an empty row are sold only after a while. */
  readonly hasTiers: boolean;
  /** Null where no tier needs one. */
  readonly redis: RedisProcess | null;
  readonly replicas: readonly DatabaseServer[];
  readonly client: HttpClient;
  /** The index of the server of a shard. */
  serverOf(shard: number): number;
  /** A separate session on a server, not through the proxy. */
  session(server: number, shard?: number): Promise<mysql.Connection>;
  /** Runs statements on a server, and tries again until it accepts all of them. */
  runOn(server: number, ...statements: string[]): Promise<void>;
  stop(): Promise<void>;
}

const CLIENTS_MAX = 200;

/** Settings of a world beside its engines. */
interface WorldOptions {
  readonly tiers?: string;
  readonly redis?: RedisProcess | null;
  readonly isShared?: boolean;
}

/**
 * Puts proxies in front of a stack's servers and starts gateways behind them. The caller stops the stack itself.
 *
 * @param engines the engines of the gateways in turn, which share the shards; empty for the default of the product
 * @param tiers the tiers of all gateways in the form of `STOCKGATE_PRECHECK`, and the Redis that they share
 */
export async function startProofWorld(
  stack: Stack,
  gatewayCount: number,
  engines: readonly EngineName[] = [],
  { tiers = '', redis = null, isShared = false }: WorldOptions = {},
): Promise<ProofWorld> {
  const { servers } = stack.cluster;
  const proxies = await Promise.all(servers.map((server) => startWireProxy(server)));
  const serverOf = (shard: number): number =>
    servers.findIndex(({ port }) => port === stack.shards[shard]?.address.port);
  const directory = ownPath(join(projectPath('.local'), 'runs', 'proof'));
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'shards.json');
  writeFileSync(file, JSON.stringify(proxiedShards(stack, (shard) => proxies[serverOf(shard)]?.port ?? 0)));
  const early = tierEnvironment(tiers, redis);
  const start = (engine: EngineName | undefined, environment: NodeJS.ProcessEnv = {}): Promise<GatewayProcess> =>
    startGatewayProcess({
      ...stack.environment,
      ...early,
      STOCKGATE_ENGINE: engine ?? '',
      STOCKGATE_SHARDS: file,
      PORT: '0',
      ADMIN_PORT: '0',
      STOCKGATE_LOG_LEVEL: 'silent',
      STOCKGATE_RECONCILIATION_ROUND_SECONDS: '3',
      ...environment,
    });
  const gateways = await Promise.all(
    Array.from({ length: gatewayCount }, (_, number) =>
      GatewaySlot.open((environment) => start(engines[number % engines.length], environment)),
    ),
  );
  const session: ProofWorld['session'] = (server, shard) =>
    openSession(servers[server] as DatabaseServer, stack.shards[shard ?? -1]?.address.schema);
  const client = httpClient(CLIENTS_MAX);
  return {
    stack,
    servers,
    proxies,
    gateways,
    isShared,
    hasTiers: tiers !== '',
    redis,
    replicas: stack.cluster.servers.flatMap((server) => server.replicas),
    client,
    serverOf,
    session,
    runOn: (server, ...statements) =>
      eventually(`server ${server} takes ${statements.join(', ')}`, 15_000, async () => {
        try {
          const connection = await session(server);
          for (const statement of statements) await connection.query(statement);
          await connection.end();
          return true;
        } catch {
          return false;
        }
      }),
    async stop() {
      client.close();
      await Promise.all(gateways.map((slot) => slot.stop()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A session on a server, in a schema where one is given. */
async function openSession(
  { host, port, user, password }: DatabaseServer,
  database: string | undefined,
): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({
    host,
    port,
    user,
    password,
    ...(database === undefined ? {} : { database }),
  });
  // The session ends when its server is killed; its user then opens another one.
  connection.on('error', () => undefined);
  return connection;
}

function proxiedShards(stack: Stack, portOf: (shard: number) => number): ShardsFile {
  return {
    initialShards: stack.initialShards,
    shards: stack.shards.map(({ name, address, replicas, connections_max, waiting_max }, shard) => ({
      name,
      primary: {
        host: '127.0.0.1',
        port: portOf(shard),
        schema: address.schema,
        user: address.user,
        passwordVariable: 'STOCKGATE_MYSQL_PASSWORD',
      },
      ...(replicas.length === 0
        ? {}
        : {
            replicas: replicas.map(({ host, port, user, schema }) => ({
              host,
              port,
              user,
              schema,
              passwordVariable: 'STOCKGATE_MYSQL_PASSWORD',
            })),
          }),
      pool: { connections: connections_max, waiting: waiting_max },
    })),
  };
}
