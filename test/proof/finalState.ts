import type { RowDataPacket } from 'mysql2/promise';
import type { AdjustmentRow, FinalState, FlowRow, StockRow } from './history.ts';
import type { World } from './world.ts';

/** A shard that does not answer in this time makes the round's verdict unknown. */
const QUERY_MS_MAX = 15_000;

/** Reads everything of a round from all shards, each in one snapshot, past the proxies. @throws when a shard cannot be read */
export async function readFinalState(world: World, prefix: string): Promise<FinalState> {
  const shards = await Promise.all([...world.stack.shards.keys()].map((shard) => readShard(world, prefix, shard)));
  return {
    stock: shards.flatMap(({ stock }) => stock),
    flows: shards.flatMap(({ flows }) => flows),
    adjustments: shards.flatMap(({ adjustments }) => adjustments),
  };
}

async function readShard(world: World, prefix: string, shard: number): Promise<FinalState> {
  const session = await world.session(world.serverOf(shard), shard);
  // The goods of a round have names that begin alike, so they are one range of the primary key.
  const values = [Buffer.from(`${prefix}-`), Buffer.from(`${prefix}.`)];
  const query = async (sql: string): Promise<RowDataPacket[]> => (await session.query<RowDataPacket[]>({ sql, values, timeout: QUERY_MS_MAX }))[0];
  const rows = (sql: string): Promise<RowDataPacket[]> => query(`${sql} WHERE sku_id > ? AND sku_id < ?`);
  try {
    await query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    const stock = await rows('SELECT sku_id, opening_amount, leaved_amount FROM stock');
    const flows = await rows('SELECT sku_id, order_detail_id, order_id, quantity FROM flow');
    const adjustments = await rows('SELECT sku_id, adjustment_id, delta FROM adjustment');
    return {
      stock: stock.map((row): StockRow => ({
        sku_id: String(row['sku_id']),
        opening_amount: Number(row['opening_amount']),
        leaved_amount: Number(row['leaved_amount']),
        shard,
      })),
      flows: flows.map((row): FlowRow => ({
        sku_id: String(row['sku_id']),
        order_detail_id: String(row['order_detail_id']),
        order_id: String(row['order_id']),
        quantity: Number(row['quantity']),
        shard,
      })),
      adjustments: adjustments.map((row): AdjustmentRow => ({
        sku_id: String(row['sku_id']),
        adjustment_id: String(row['adjustment_id']),
        delta: Number(row['delta']),
        shard,
      })),
    };
  } finally {
    session.destroy();
  }
}
