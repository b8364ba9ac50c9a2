import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { SlotMap } from '../../../src/core/slots.ts';
import type { StockReading } from '../../../src/core/precheck/stockReading.ts';
import { Heartbeats } from '../../../src/mysql/replicas/heartbeats.ts';
import { ReplicaReadings } from '../../../src/mysql/replicas/replicaReadings.ts';
import type { ReplicatedShardState } from '../../../src/mysql/replicas/replicatedShard.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import type { Address } from '../../../src/mysql/connection/connection.ts';
import type { DatabaseServer } from '../../../scripts/cluster/contract.ts';
import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { openShards } from '../engines/engines.ts';

export const REPLICA_BENCH_SHARDS = 2;
export const LAG_MS_MAX = 1_500;
export const STATEMENT_MS = 500;

/** A primary with two replicas, the heartbeats of a gateway, and its stock readings from the replicas. */
export interface ReplicaBench {
  readonly stack: Stack;
  readonly shards: readonly Shard[];
  readonly heartbeats: Heartbeats;
  readonly readings: ReplicaReadings;
  readonly primary: DatabaseServer;
  readonly replicas: readonly DatabaseServer[];
  /** Runs a statement on the primary, in the schema of a shard. */
  write(sql: string, shard?: number): Promise<RowDataPacket[]>;
  /** Runs a statement on a replica, in the schema of shard 0. */
  runOnReplica(replica: number, sql: string): Promise<RowDataPacket[]>;
  /** A session on the primary, in the schema of shard 0; closed at the end. */
  session(): Promise<mysql.Connection>;
  look(sku_id: string): Promise<StockReading | null>;
  state(): ReplicatedShardState;
  stop(): Promise<void>;
}

export async function replicaBench(): Promise<ReplicaBench> {
  const stack = await startStack({
    servers: 1,
    replicas: 2,
    semiSync: true,
    shardCount: REPLICA_BENCH_SHARDS,
    dataDirectory: '.local',
    onProgress: () => undefined,
  });
  const shards = openShards(stack, 1_000);
  const map = new SlotMap(REPLICA_BENCH_SHARDS);
  const readings = new ReplicaReadings({
    shards: shards.map((shard) => ({
      shard: shard.index,
      initialShards: REPLICA_BENCH_SHARDS,
      replicas: stack.shards[shard.index]?.replicas ?? [],
      clock: shard.clock,
    })),
    shardOf: (sku_id) => map.shardOf(sku_id),
    lagMsMax: LAG_MS_MAX,
    statementMs: STATEMENT_MS,
  });
  const faults: unknown[] = [];
  const hearts = new Heartbeats(shards, (error) => faults.push(error));
  const [primary] = stack.cluster.servers;
  if (primary === undefined) throw new Error('the cluster has no server');
  const sessions: mysql.Connection[] = [];
  const addressOf = (shard: number): Address => {
    const address = stack.shards[shard]?.address;
    if (address === undefined) throw new RangeError(`there is no shard ${shard}`);
    return address;
  };
  const connect = ({ host, port, user, password, schema }: Address): Promise<mysql.Connection> =>
    mysql.createConnection({ host, port, user, password, database: schema, timezone: 'Z', dateStrings: true });
  const ask = async (address: Address, sql: string): Promise<RowDataPacket[]> => {
    const connection = await connect(address);
    try {
      return (await connection.query<RowDataPacket[]>(sql))[0];
    } finally {
      connection.destroy();
    }
  };
  return {
    stack,
    shards,
    heartbeats: hearts,
    readings,
    primary,
    replicas: primary.replicas,
    write: (sql, shard = 0) => ask(addressOf(shard), sql),
    runOnReplica: (replica, sql) => ask({ ...addressOf(0), port: primary.replicas[replica]?.port ?? 0 }, sql),
    async session() {
      const session = await connect(addressOf(0));
      sessions.push(session);
      return session;
    },
    look: async (sku_id) => (await readings.read([sku_id], performance.now() + 3_000))[0] ?? null,
    state() {
      const [state] = readings.state();
      if (state === undefined) throw new Error('shard 0 has no replicas');
      return state;
    },
    async stop() {
      await hearts.stop();
      readings.stop();
      for (const session of sessions) session.destroy();
      for (const { pool } of shards) pool.close();
      await stack.stop();
      if (faults.length > 0) throw faults[0];
    },
  };
}
