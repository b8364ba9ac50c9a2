import type { DeadlineMs, StockRow } from '../../core/nouns.ts';
import { slotOf } from '../../core/slots.ts';
import type { Connection } from '../connection.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
SELECT stock.sub_row, stock.leaved_amount, stock.intake <> 'any' AS is_split
  FROM slot LEFT JOIN stock ON stock.sku_id = ?
 WHERE slot.slot = ?
 ORDER BY stock.sub_row`;

/**
 * The stock rows of a SKU, with the proof of ownership in the same snapshot.
 *
 * @returns null when this shard does not own the SKU's slot; no rows for an unknown SKU
 */
export async function readStock(connection: Connection, sku_id: string, deadlineMs: DeadlineMs): Promise<StockRow[] | null> {
  const rows = await connection.rows<{ sub_row: number | null; leaved_amount: number | null; is_split: number }>(SQL, [bytesOf(sku_id), slotOf(sku_id)], deadlineMs);
  if (rows.length === 0) return null;
  return rows.flatMap(({ sub_row, leaved_amount, is_split }) =>
    sub_row === null || leaved_amount === null ? [] : [{ sku_id, sub_row, leaved_amount, isSplit: is_split === 1 }],
  );
}
