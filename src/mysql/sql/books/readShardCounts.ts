import type { Snapshot } from '../../connection/snapshot.ts';
import { scopeOf } from './readBalances.ts';

/** How many SKUs and flows there are. @param sku_ids null: all */
export async function readShardCounts(
  snapshot: Snapshot,
  sku_ids: readonly string[] | null,
): Promise<{ sku_count: number; flow_count: number }> {
  const { sql, values } = scopeOf(sku_ids);
  const [row] = await snapshot.rows<{ sku_count: number; flow_count: number }>(
    // A split SKU has one first row, and a pointer is not a flow.
    `SELECT CAST((SELECT COALESCE(SUM(sub_row = 0), 0) FROM stock${sql}) AS SIGNED) AS sku_count,
            CAST((SELECT COALESCE(SUM(status <> 'moved'), 0) FROM flow${sql}) AS SIGNED) AS flow_count`,
    [...values, ...values],
  );
  return row ?? { sku_count: 0, flow_count: 0 };
}
