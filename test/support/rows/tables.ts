import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { ShardConfig } from '../../../src/config/shardsFile.ts';

/** Calls a function with a connection to each shard, one after the other, and returns the results in order. */
export async function onEachShard<T>(
  shards: readonly ShardConfig[],
  work: (connection: mysql.Connection, schema: string) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const { address } of shards) {
    const { host, port, user, password, schema } = address;
    const connection = await mysql.createConnection({
      host,
      port,
      user,
      password,
      database: schema,
      supportBigNumbers: true,
    });
    try {
      results.push(await work(connection, schema));
    } finally {
      await connection.end();
    }
  }
  return results;
}

/**
 * Rows and checksum of every table of every shard, as `schema.table rows checksum`: equal when no row was changed. The
 * table `generation` is left out, because gateways write it all the time.
 */
export async function tableSums(shards: readonly ShardConfig[]): Promise<string[]> {
  const sums = await onEachShard(shards, async (connection, schema) => {
    const [tables] = await connection.query<RowDataPacket[]>(
      `SELECT table_name AS name FROM information_schema.tables
        WHERE table_schema = ? AND table_name <> 'generation' ORDER BY table_name`,
      [schema],
    );
    const lines: string[] = [];
    for (const { name } of tables) {
      const [[count]] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS amount FROM ??', [name]);
      const [[sum]] = await connection.query<RowDataPacket[]>('CHECKSUM TABLE ??', [name]);
      lines.push(`${schema}.${String(name)} ${String(count?.['amount'])} ${String(sum?.['Checksum'])}`);
    }
    return lines;
  });
  return sums.flat();
}

/** The number of undecided carts and of held flows, on all shards together. */
export async function countUndecided(shards: readonly ShardConfig[]): Promise<number> {
  const counts = await onEachShard(shards, async (connection) => {
    const [[row]] = await connection.query<RowDataPacket[]>(
      "SELECT (SELECT COUNT(*) FROM cart WHERE state = 'open') + (SELECT COUNT(*) FROM cart_hold) AS amount",
    );
    return Number(row?.['amount']);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}
