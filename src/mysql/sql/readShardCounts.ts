import type { Snapshot } from '../snapshot.ts';
import { scopeOf } from './readBalances.ts';

/** How many SKUs and flows there are. @param sku_ids null: all */
export async function readShardCounts(snapshot: Snapshot, sku_ids: readonly string[] | null): Promise<{ sku_count: number; flow_count: number }> {
  const { sql, values } = scopeOf(sku_ids);
  const [row] = await snapshot.rows<{ sku_count: number; flow_count: number }>(
    `SELECT (SELECT COUNT(DISTINCT sku_id) FROM stock${sql}) AS sku_count, (SELECT COUNT(*) FROM flow${sql}) AS flow_count`,
    [...values, ...values],
  );
  return row ?? { sku_count: 0, flow_count: 0 };
}
