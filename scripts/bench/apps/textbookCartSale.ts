import mysql from 'mysql2/promise';
import type { PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { ShardConfig } from '../../../src/config/shardsFile.ts';
import { compareIdentifiers } from '../../../src/core/identifier.ts';
import { shardOf } from '../goods.ts';
import type { EchoedOrder } from './serve.ts';

export interface TextbookCartsSettings {
  /** The shards, all on one server. */
  readonly addresses: readonly ShardConfig['address'][];
  /** The size of the pool. */
  readonly connections: number;
}

export type CartOutcome = 'deducted' | 'replayed' | 'idempotency_conflict' | 'insufficient_stock' | 'failed';

export interface TextbookCartSale {
  sell(order: EchoedOrder): Promise<CartOutcome>;
  close(): Promise<void>;
}

/** As in the sessions of a gateway. */
const SESSION =
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO', transaction_isolation = 'READ-COMMITTED'";
const DUPLICATE_KEY = 1062;

type Line = EchoedOrder['lines'][number];

/**
 * Sells an order of several shards in one transaction: a flow for each line, then the stock of each line if enough is
 * left, then COMMIT. Rows are locked in the order of their keys, so that orders do not deadlock. There is no check but
 * these, so the orders of this gateway cost less than those of a real one.
 */
export function openTextbookCartSale({ addresses, connections }: TextbookCartsSettings): TextbookCartSale {
  const [address] = addresses;
  if (address === undefined) throw new Error('BENCH_TEXTBOOK_CARTS must name the shards');
  const { host, port, user, password } = address;
  const pool = mysql.createPool({ host, port, user, password, connectionLimit: connections });
  pool.on('connection', (connection) => connection.query(SESSION));
  const schemaOf = ({ sku_id }: Line): string => addresses[shardOf(sku_id, addresses.length)]?.schema ?? '';

  const take = async (connection: PoolConnection, { order_id, lines }: EchoedOrder): Promise<CartOutcome> => {
    for (const line of lines) {
      const { sku_id, order_detail_id, quantity } = line;
      await connection.query(
        `INSERT INTO \`${schemaOf(line)}\`.flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, ?)`,
        [sku_id, order_detail_id, order_id, quantity],
      );
    }
    for (const line of lines) {
      const { sku_id, quantity } = line;
      const [{ affectedRows }] = await connection.query<ResultSetHeader>(
        `UPDATE \`${schemaOf(line)}\`.stock SET leaved_amount = leaved_amount - ?, version = version + 1 ` +
          `WHERE sku_id = ? AND sub_row = 0 AND leaved_amount >= ?`,
        [quantity, sku_id, quantity],
      );
      if (affectedRows === 0) return 'insufficient_stock';
    }
    return 'deducted';
  };

  /** @returns whether the flows of all lines are those of this order */
  const isReplay = async (connection: PoolConnection, { order_id, lines }: EchoedOrder): Promise<boolean> => {
    for (const line of lines) {
      const [rows] = await connection.query<RowDataPacket[]>(
        `SELECT quantity FROM \`${schemaOf(line)}\`.flow WHERE sku_id = ? AND order_detail_id = ? AND order_id = ?`,
        [line.sku_id, line.order_detail_id, order_id],
      );
      if (rows[0]?.['quantity'] !== line.quantity) return false;
    }
    return true;
  };

  const attempt = async (connection: PoolConnection, order: EchoedOrder): Promise<CartOutcome> => {
    await connection.query('START TRANSACTION');
    try {
      const outcome = await take(connection, order);
      await connection.query(outcome === 'deducted' ? 'COMMIT' : 'ROLLBACK');
      return outcome;
    } catch (error) {
      await connection.query('ROLLBACK');
      if ((error as { errno?: number }).errno !== DUPLICATE_KEY) return 'failed';
      return (await isReplay(connection, order)) ? 'replayed' : 'idempotency_conflict';
    }
  };

  return {
    async sell(order) {
      const lines = [...order.lines].sort((a, b) => compareIdentifiers(a.sku_id, b.sku_id));
      const connection = await pool.getConnection();
      try {
        return await attempt(connection, { ...order, lines });
      } finally {
        connection.release();
      }
    },
    close: () => pool.end(),
  };
}
