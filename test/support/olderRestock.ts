import { SlotMap } from '../../src/core/slots.ts';
import { stack } from './setup.ts';
import { sideSession } from './sideSession.ts';

/** Restocks as gateways before level 9 do: only the stock row bounds it, so a SKU with sold units passes the limit. */
export async function restockAsBefore(sku_id: string, units: number): Promise<void> {
  const session = await sideSession(new SlotMap(stack().initialShards).shardOf(sku_id));
  const id = Buffer.from(sku_id);
  try {
    await session.beginTransaction();
    const add = 'UPDATE stock SET leaved_amount = leaved_amount + ? WHERE sku_id = ? AND sub_row = 0';
    await session.query(add, [units, id]);
    const note = "INSERT INTO adjustment (sku_id, adjustment_id, delta) VALUES (?, 'as before', ?)";
    await session.query(note, [id, units]);
    await session.commit();
  } finally {
    await session.end();
  }
}
