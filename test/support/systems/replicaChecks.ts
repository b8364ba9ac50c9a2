import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { ReplicaReadings } from '../../../src/mysql/replicas/replicaReadings.ts';
import type { DatabaseServer } from '../../../scripts/cluster/contract.ts';
import { eventually } from '../run/eventually.ts';
import { fresh } from '../gateway/gateway.ts';
import { LAG_MS_MAX, REPLICA_BENCH_SHARDS, STATEMENT_MS } from './replicaBench.ts';
import type { ReplicaBench } from './replicaBench.ts';
import { skuOn } from '../engines/traffic.ts';

/** A limit for steps that take milliseconds on an idle machine. */
const SOON_MS = 10_000;

/** Rows to read on replicas, and waits for the states of the two replicas of a bench. */
export class ReplicaChecks {
  readonly #bench: ReplicaBench;

  constructor(bench: ReplicaBench) {
    this.#bench = bench;
  }

  stateOf(replica: number): string | undefined {
    return this.#bench.state().replicas[replica]?.state;
  }

  async bothBecome(state: string, limitMs = SOON_MS): Promise<void> {
    await eventually(`both replicas are ${state}`, limitMs, () =>
      this.#bench.state().replicas.every((replica) => replica.state === state),
    );
  }

  async bothFollow(limitMs = SOON_MS): Promise<void> {
    await this.bothBecome('following', limitMs);
  }

  /** Starts replication on both replicas, and waits until they follow. */
  async restart(): Promise<void> {
    for (const replica of [0, 1]) await this.#bench.runOnReplica(replica, 'START REPLICA');
    await this.bothFollow();
  }

  /** Opens a SKU on shard 0. @returns its id */
  async open(leaved_amount: number): Promise<string> {
    const sku_id = skuOn(0, fresh('replica'), REPLICA_BENCH_SHARDS);
    await this.#bench.write(
      `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount)
       VALUES ('${sku_id}', 0, ${leaved_amount}, ${leaved_amount})`,
    );
    return sku_id;
  }

  /**
   * Commits versions 1 to 60 of a row. Replication is stopped before version 20 and started again before version 40.
   *
   * @returns for each version, the moment at which its commit was answered
   */
  async commitVersions(sku_id: string): Promise<number[]> {
    const answeredMs: number[] = [performance.now()];
    const writer = await this.#bench.session();
    for (let version = 1; version <= 60; version += 1) {
      if (version === 20)
        for (const replica of [0, 1]) await this.#bench.runOnReplica(replica, 'STOP REPLICA SQL_THREAD');
      if (version === 40) for (const replica of [0, 1]) await this.#bench.runOnReplica(replica, 'START REPLICA');
      await writer.beginTransaction();
      await writer.query('SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE');
      await writer.query(`UPDATE stock SET version = version + 1 WHERE sku_id = '${sku_id}'`);
      await writer.commit();
      answeredMs[version] = performance.now();
      await sleep(10);
    }
    return answeredMs;
  }

  /** Waits until a reading of the replicas has this number of units left. */
  async shows(sku_id: string, leaved_amount: number): Promise<void> {
    await eventually(
      `the replicas show ${leaved_amount}`,
      SOON_MS,
      async () => (await this.#bench.look(sku_id))?.leaved_amount === leaved_amount,
    );
  }
}

/** Runs one statement on a server. */
export async function queryServer(server: DatabaseServer | undefined, sql: string): Promise<RowDataPacket[]> {
  const { host, port, user, password } = server ?? { host: '', port: 0, user: '', password: '' };
  const connection = await mysql.createConnection({ host, port, user, password });
  try {
    return (await connection.query<RowDataPacket[]>(sql))[0];
  } finally {
    connection.destroy();
  }
}

/** Options for another reader of the replicas of a bench, which routes every SKU to shard 0. */
export function readerOptions({ shards, stack }: ReplicaBench): ConstructorParameters<typeof ReplicaReadings>[0] {
  return {
    shards: shards.map((shard) => ({
      shard: shard.index,
      initialShards: REPLICA_BENCH_SHARDS,
      replicas: stack.shards[shard.index]?.replicas ?? [],
      clock: shard.clock,
    })),
    shardOf: () => 0,
    lagMsMax: LAG_MS_MAX,
    statementMs: STATEMENT_MS,
  };
}
