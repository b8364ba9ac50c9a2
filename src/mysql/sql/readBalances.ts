import type { SkuBalance } from '../../core/books.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { textOf } from './bytes.ts';

/** One statement, hence one snapshot. SKUs that only the journal knows are in it too: they balance with nothing. */
const SQL = `
SELECT sku.sku_id,
       CAST(COALESCE(row_sum.opening, 0) AS CHAR) AS opening,
       CAST(COALESCE(row_sum.leaved, 0) AS CHAR) AS leaved,
       CAST(COALESCE(adjustment_sum.delta, 0) AS CHAR) AS adjusted,
       CAST(COALESCE(flow_sum.deducted, 0) AS CHAR) AS deducted,
       CAST(COALESCE(flow_sum.returned, 0) AS CHAR) AS returned,
       COALESCE(flow_sum.flow_count, 0) AS flow_count
  FROM (SELECT sku_id FROM stock UNION SELECT sku_id FROM flow UNION SELECT sku_id FROM adjustment) AS sku
  LEFT JOIN (SELECT sku_id, SUM(opening_amount) AS opening, SUM(leaved_amount) AS leaved
               FROM stock GROUP BY sku_id) AS row_sum ON row_sum.sku_id = sku.sku_id
  LEFT JOIN (SELECT sku_id, SUM(delta) AS delta
               FROM adjustment GROUP BY sku_id) AS adjustment_sum ON adjustment_sum.sku_id = sku.sku_id
  LEFT JOIN (SELECT sku_id, SUM(quantity) AS deducted, SUM(returned) AS returned, COUNT(*) AS flow_count
               FROM flow WHERE status IN ('deducted', 'pending', 'cancelled') GROUP BY sku_id) AS flow_sum ON flow_sum.sku_id = sku.sku_id`;

interface Row {
  sku_id: Buffer;
  opening: string;
  leaved: string;
  adjusted: string;
  deducted: string;
  returned: string;
  flow_count: number;
}

/** What the journal and the stock row say of every SKU on a shard. Sums come as text and stay exact. */
export async function readBalances(connection: Connection, deadlineMs: DeadlineMs): Promise<SkuBalance[]> {
  const rows = await connection.rows<Row>(SQL, [], deadlineMs);
  return rows.map((row) => ({
    sku_id: textOf(row.sku_id),
    opening: BigInt(row.opening),
    leaved: BigInt(row.leaved),
    adjusted: BigInt(row.adjusted),
    deducted: BigInt(row.deducted),
    returned: BigInt(row.returned),
    flow_count: row.flow_count,
  }));
}
