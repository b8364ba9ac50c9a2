import type { DeadlineMs, Sale, StockRow } from '../../../core/types.ts';
import { slotOf } from '../../../core/slots.ts';
import type { Connection } from '../../connection/connection.ts';
import { bytesOf } from '../text/bytes.ts';

const SQL = `
SELECT stock.sub_row, stock.leaved_amount, stock.intake <> 'any' AS is_split, stock.sale_state,
       IF(stock.sale_state = 'on', DATE_FORMAT(stock.sale_from, '%Y-%m-%dT%H:%i:%s.%f'), NULL) AS sale_from
  FROM slot LEFT JOIN stock ON stock.sku_id = ?
 WHERE slot.slot = ?
 ORDER BY stock.sub_row`;

/** `2026-11-27T08:00:00.000`: the server writes microseconds, the API milliseconds. */
const MOMENT_LENGTH = 23;

interface Row {
  readonly sub_row: number | null;
  readonly leaved_amount: number | null;
  readonly is_split: number;
  readonly sale_state: Sale['state'];
  readonly sale_from: string | null;
}

/** The stock rows of a SKU, and the sale state of the first of them. */
interface ReadStock {
  readonly rows: readonly StockRow[];
  /** Null for an unknown SKU. */
  readonly sale: Sale | null;
}

/**
 * The stock rows of a SKU, with the proof of ownership in the same snapshot.
 *
 * @returns null when this shard does not own the SKU's slot; no rows for an unknown SKU
 */
export async function readStock(
  connection: Connection,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<ReadStock | null> {
  const read = await connection.rows<Row>(SQL, [bytesOf(sku_id), slotOf(sku_id)], deadlineMs);
  if (read.length === 0) return null;
  const rows = read.flatMap(({ sub_row, leaved_amount, is_split }) =>
    sub_row === null || leaved_amount === null ? [] : [{ sku_id, sub_row, leaved_amount, isSplit: is_split === 1 }],
  );
  const first = read.find(({ sub_row }) => sub_row === 0);
  return { rows, sale: first === undefined ? null : saleOf(first) };
}

function saleOf({ sale_state, sale_from }: Row): Sale {
  return { state: sale_state, from: sale_from === null ? null : `${sale_from.slice(0, MOMENT_LENGTH)}Z` };
}
