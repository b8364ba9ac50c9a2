import type { SkuIdPage } from '../../../core/ports/auditor.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { isText, quotedBytes, textOf } from '../text/bytes.ts';

/** Each server skips from one SKU to the next in the primary key, so a SKU with many rows costs as much as any. */
const IDS = (table: string): string =>
  `(SELECT DISTINCT sku_id FROM ${table} FORCE INDEX (PRIMARY) WHERE sku_id > ? ORDER BY sku_id LIMIT ?)`;
const PAGE = `
SELECT sku_id FROM (${['stock', 'flow', 'adjustment'].map(IDS).join(' UNION ')}) AS known ORDER BY sku_id LIMIT ?`;

/**
 * A page of the ids of all SKUs that have a stock row, a flow or an adjustment, in the order of their bytes.
 *
 * @param afterHex the last id of the previous page; null: start with the first
 */
export async function readSkuIds(
  connection: Connection,
  afterHex: string | null,
  max: number,
  deadlineMs: DeadlineMs,
): Promise<SkuIdPage> {
  const after = Buffer.from(afterHex ?? '', 'hex');
  const values = [after, max, after, max, after, max, max];
  const ids = (await connection.rows<{ sku_id: Buffer }>(PAGE, values, deadlineMs)).map(({ sku_id }) => sku_id);
  const last = ids.at(-1);
  return {
    sku_ids: ids.filter(isText).map(textOf),
    unreadable: ids.filter((id) => !isText(id)).map((id) => `the id of SKU ${quotedBytes(id)} is not text`),
    next: last === undefined || ids.length < max ? null : last.toString('hex'),
  };
}
