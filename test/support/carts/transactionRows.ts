import type { RowDataPacket } from 'mysql2/promise';
import { stack } from '../run/setup.ts';
import { sideSession } from '../rows/sideSession.ts';

/** The tables in which an order can leave rows. */
const TABLES = ['flow', 'cart_hold', 'cart', 'order_record', 'aborted_record'] as const;

/** A record of a transaction, and the shard on which it lies. */
export interface FoundRecord {
  readonly shard: number;
  readonly transaction_id: string;
  readonly state: 'committed' | 'aborted';
}

/** Runs a query on every shard of the shared stack. @returns the rows by shard */
export async function onAllShards(sql: string, values: readonly unknown[] = []): Promise<RowDataPacket[][]> {
  return Promise.all(
    stack().shards.map(async (_, shard) => {
      const session = await sideSession(shard);
      try {
        await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
        const [rows] = await session.query<RowDataPacket[]>(sql, [...values]);
        return rows;
      } finally {
        session.destroy();
      }
    }),
  );
}

/** The rows of each table on all shards together, in which an order can leave some. */
export async function rowCounts(): Promise<Record<string, number>> {
  const sql = `SELECT ${TABLES.map((table) => `(SELECT COUNT(*) FROM ${table}) AS \`${table}\``).join(', ')}`;
  const found = await onAllShards(sql);
  return Object.fromEntries(
    TABLES.map((table) => [table, found.reduce((sum, [row]) => sum + Number(row?.[table] ?? 0), 0)]),
  );
}

/** All records of an order, wherever they lie. */
export async function transactionsOf(order_id: string): Promise<FoundRecord[]> {
  const found = await onAllShards(
    'SELECT LOWER(HEX(transaction_id)) AS id, state FROM order_record WHERE order_id = ?',
    [Buffer.from(order_id)],
  );
  return found.flatMap((rows, shard) =>
    rows.map(({ id, state }) => ({
      shard,
      transaction_id: String(id),
      state: state === 'committed' ? ('committed' as const) : ('aborted' as const),
    })),
  );
}

/** Makes the aborted records of all shards older. */
export async function ageAborted(seconds: number): Promise<void> {
  await onAllShards('UPDATE aborted_record SET created_at = created_at - INTERVAL ? SECOND', [seconds]);
}

/** The transactions of other sessions that are open on the server of a shard and have locked or changed something. */
export async function openTransactions(shard: number): Promise<number> {
  const session = await sideSession(shard);
  try {
    const [[row]] = await session.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS amount FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> CONNECTION_ID()',
    );
    return Number(row?.['amount']);
  } finally {
    session.destroy();
  }
}
