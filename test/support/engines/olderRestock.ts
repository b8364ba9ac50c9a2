import { SlotMap } from '../../../src/core/slots.ts';
import { stack } from '../run/setup.ts';
import { sideSession } from '../rows/sideSession.ts';

/** Restocks as gateways before level 9 do. Only the stock row is bounded, so SKUs with sold units exceed the limit. */
export async function restockAsBefore(sku_id: string, units: number): Promise<void> {
  const session = await sideSession(new SlotMap(stack().initialShards).shardOf(sku_id));
  const id = Buffer.from(sku_id);
  try {
    await session.beginTransaction();
    const add = 'UPDATE stock SET leaved_amount = leaved_amount + ? WHERE sku_id = ? AND sub_row = 0';
    await session.query(add, [units, id]);
    const insert = "INSERT INTO adjustment (sku_id, adjustment_id, delta) VALUES (?, 'as before', ?)";
    await session.query(insert, [id, units]);
    await session.commit();
  } finally {
    await session.end();
  }
}
