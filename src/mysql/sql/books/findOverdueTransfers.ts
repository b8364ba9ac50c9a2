import type { Snapshot } from '../../connection/snapshot.ts';
import { isOlder } from '../session/age.ts';
import { textOf } from '../text/bytes.ts';
import { OVERDUE_SECONDS } from './findOverdueHolds.ts';
import { scopeOf } from './readBalances.ts';

/** Units that left a row long ago and were not confirmed as received in another. */
export interface OverdueTransfer {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly actual: bigint;
}

/** @param sku_ids null: all */
export async function findOverdueTransfers(
  snapshot: Snapshot,
  sku_ids: readonly string[] | null,
): Promise<OverdueTransfer[]> {
  const { sql, values } = scopeOf(sku_ids);
  const rows = await snapshot.rows<{ sku_id: Buffer; sub_row: number; units: string }>(
    `SELECT sku_id, sub_row, CAST(SUM(amount) AS CHAR) AS units FROM (SELECT * FROM transfer${sql}) AS transfer
      WHERE is_open = 1 AND ${isOlder('created_at', OVERDUE_SECONDS)} GROUP BY sku_id, sub_row`,
    values,
  );
  return rows.map(({ sku_id, sub_row, units }) => ({ sku_id: textOf(sku_id), sub_row, actual: BigInt(units) }));
}
