import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { flowKeyText } from '../../src/core/types.ts';
import type { ShardConfig } from '../../src/config/shardsFile.ts';
import type { StoredFlow, StoredFlows } from './carts.ts';

type Query = (sql: string) => Promise<RowDataPacket[]>;

/** The tables of stock and journal. Cart records are not part of them. */
const BOOKS = ['stock', 'flow', 'flow_return', 'adjustment'];
const PAUSE_MS = 100;

/** Reads every stored flow that is not void, directly from the shards. */
export async function readStoredFlows(shards: readonly ShardConfig[]): Promise<StoredFlows> {
  const flows = new Map<string, StoredFlow>();
  await onEachShard(shards, async (query) => {
    for (const row of await query(
      "SELECT sku_id, order_detail_id, order_id, quantity, returned, status FROM flow WHERE status <> 'void'",
    )) {
      flows.set(flowKeyText({ sku_id: String(row['sku_id']), order_detail_id: String(row['order_detail_id']) }), {
        order_id: String(row['order_id']),
        quantity: Number(row['quantity']),
        returned: Number(row['returned']),
        status: row['status'] as StoredFlow['status'],
      });
    }
  });
  return flows;
}

const OPEN_COUNT =
  "SELECT (SELECT COUNT(*) FROM cart_hold) + (SELECT COUNT(*) FROM cart WHERE state = 'open') AS amount";

/**
 * Waits until every cart is decided and has no holds any more.
 *
 * @returns the number of remaining holds and open carts after `waitMs`
 */
export async function waitForNoHolds(shards: readonly ShardConfig[], waitMs: number): Promise<number> {
  const untilMs = performance.now() + waitMs;
  for (;;) {
    const counts = await onEachShard(shards, async (query) => Number((await query(OPEN_COUNT))[0]?.['amount']));
    const held = counts.reduce((sum, count) => sum + count, 0);
    if (held === 0 || performance.now() > untilMs) return held;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** One line with row count and checksum for each table of stock and journal: equal when no row was changed. */
export async function bookSums(shards: readonly ShardConfig[]): Promise<string[]> {
  const sums = await onEachShard(shards, async (query, { name }) => {
    const lines: string[] = [];
    for (const table of BOOKS) {
      const [count] = await query(`SELECT COUNT(*) AS amount FROM ${table}`);
      const [sum] = await query(`CHECKSUM TABLE ${table}`);
      lines.push(`${name} ${table}: ${String(count?.['amount'])} rows, checksum ${String(sum?.['Checksum'])}`);
    }
    return lines;
  });
  return sums.flat();
}

async function onEachShard<T>(
  shards: readonly ShardConfig[],
  work: (query: Query, shard: ShardConfig) => Promise<T>,
): Promise<T[]> {
  return Promise.all(
    shards.map(async (shard) => {
      const { host, port, user, password, schema } = shard.address;
      const connection = await mysql.createConnection({
        host,
        port,
        user,
        password,
        database: schema,
        supportBigNumbers: true,
      });
      try {
        return await work(async (sql) => (await connection.query<RowDataPacket[]>(sql))[0], shard);
      } finally {
        await connection.end();
      }
    }),
  );
}
