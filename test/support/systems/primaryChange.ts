import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { DatabaseServer } from '../../../scripts/cluster/contract.ts';
import { startReplication } from '../../../scripts/cluster/startReplication.ts';
import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { startTestGateway } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { temporaryFolder } from '../run/temporary.ts';
import { startWireProxy } from '../wire/wireProxy.ts';

/** The time limit for a replica to catch up, in seconds. */
const CATCH_UP_SECONDS = 30;
const SHARDS = 2;

/**
 * A primary and its replica that swap their roles, and a gateway behind a proxy. Open connections through the proxy
 * stay with their server.
 */
export interface ChangeBench {
  readonly shards: number;
  /** Behind the proxy. */
  readonly gateway: TestGateway;
  /**
   * Makes the replica the primary. Open connections still lead to the former primary.
   *
   * @returns a gateway that is connected to the new primary only
   */
  change(): Promise<TestGateway>;
  /** Makes the former primary follow the new one. */
  followNew(): Promise<void>;
  /** Runs a statement on the current primary, in the schema of a shard. */
  query(shard: number, sql: string): Promise<RowDataPacket[]>;
  stop(): Promise<void>;
}

/** @param connections of the gateway, over all shards */
export async function changeBench(connections: number): Promise<ChangeBench> {
  const stack: Stack = await startStack({
    ...{ servers: 1, replicas: 1, shardCount: SHARDS, dataDirectory: '.local', onProgress: () => undefined },
    pool: { connections: connections / SHARDS, waiting: 1_000 },
  });
  const [first] = stack.cluster.servers;
  const [second] = first?.replicas ?? [];
  if (first === undefined || second === undefined) throw new Error('the cluster has no primary with a replica');
  let [primary, other]: [DatabaseServer, DatabaseServer] = [first, second];
  const proxy = await startWireProxy(first);
  const folder = temporaryFolder();
  let direct: TestGateway | null = null;

  const ask = async (server: DatabaseServer, sql: string, database?: string): Promise<RowDataPacket[]> => {
    const { host, port, user, password } = server;
    const connection = await mysql.createConnection({
      host,
      port,
      user,
      password,
      dateStrings: true,
      ...(database === undefined ? {} : { database }),
    });
    try {
      return (await connection.query<RowDataPacket[]>(sql))[0];
    } finally {
      connection.destroy();
    }
  };
  const gatewayAt = (name: string, port: number): Promise<TestGateway> => {
    const shards = stack.shards.map(({ address: { host, user, schema }, ...shard }) => ({
      name: shard.name,
      primary: { host, port, user, schema, passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' },
      pool: { connections: shard.connections_max, waiting: shard.waiting_max },
    }));
    return startTestGateway(
      {},
      {
        environment: {
          ...stack.environment,
          STOCKGATE_SHARDS: folder.write(name, JSON.stringify({ initialShards: SHARDS, shards })),
        },
      },
    );
  };
  const gateway = await gatewayAt('proxied.json', proxy.port);

  return {
    shards: SHARDS,
    gateway,
    async change() {
      await ask(primary, 'SET GLOBAL super_read_only = 1');
      const [row] = await ask(primary, 'SELECT @@GLOBAL.gtid_executed AS done');
      await ask(
        other,
        `SELECT WAIT_FOR_EXECUTED_GTID_SET('${String(row?.['done']).replaceAll('\n', '')}', ${CATCH_UP_SECONDS})`,
      );
      for (const sql of [
        'STOP REPLICA',
        'RESET REPLICA ALL',
        'SET GLOBAL super_read_only = 0',
        'SET GLOBAL read_only = 0',
      ])
        await ask(other, sql);
      proxy.retarget(other);
      [primary, other] = [other, primary];
      await direct?.stop();
      return (direct = await gatewayAt('direct.json', primary.port));
    },
    async followNew() {
      await startReplication(other, primary);
    },
    query: (shard, sql) => ask(primary, sql, stack.shards[shard]?.address.schema),
    async stop() {
      await direct?.stop();
      await gateway.stop();
      await proxy.close();
      await stack.stop();
      folder.remove();
    },
  };
}
