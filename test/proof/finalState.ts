import type { RowDataPacket } from 'mysql2/promise';
import type { AdjustmentRow, FinalState, FlowRow } from './history.ts';
import type { World } from './world.ts';

/** Reads everything of a round from all shards, past the proxies. @throws when a shard cannot be read */
export async function readFinalState(world: World, prefix: string, opening: ReadonlyMap<string, number>): Promise<FinalState> {
  const left = new Map<string, number>();
  const flows: FlowRow[] = [];
  const adjustments: AdjustmentRow[] = [];
  for (const shard of world.stack.shards.keys()) {
    const session = await world.session(world.serverOf(shard), shard);
    // The goods of a round have names that begin alike, so they are one range of the primary key.
    const range = [Buffer.from(`${prefix}-`), Buffer.from(`${prefix}.`)];
    const rows = async (sql: string): Promise<RowDataPacket[]> => (await session.query<RowDataPacket[]>(`${sql} WHERE sku_id > ? AND sku_id < ?`, range))[0];
    for (const row of await rows('SELECT sku_id, leaved_amount FROM stock')) left.set(String(row['sku_id']), Number(row['leaved_amount']));
    for (const row of await rows('SELECT sku_id, order_detail_id, order_id, quantity FROM flow')) {
      const { sku_id, order_detail_id, order_id, quantity } = row as unknown as Record<string, Buffer> & { quantity: number };
      flows.push({ sku_id: String(sku_id), order_detail_id: String(order_detail_id), order_id: String(order_id), quantity, shard });
    }
    for (const row of await rows('SELECT sku_id, adjustment_id, delta FROM adjustment')) {
      adjustments.push({ sku_id: String(row['sku_id']), adjustment_id: String(row['adjustment_id']), delta: Number(row['delta']), shard });
    }
    await session.end();
  }
  return { opening, left, flows, adjustments };
}
