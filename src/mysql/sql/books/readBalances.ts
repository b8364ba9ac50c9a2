import type { StockRowBalance, SkuBalance } from '../../../core/books/books.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import type { Snapshot } from '../../connection/snapshot.ts';
import { bytesOf, textOf } from '../text/bytes.ts';

/** The number of subqueries that name the SKUs. */
const SCOPES = 7;

/** One statement, hence one snapshot. Rows that only the journal names are included: they balance with nothing. */
const balances = (scope: string): string => `
SELECT stock_row.sku_id, stock_row.sub_row,
       CAST(COALESCE(row_sum.opening, 0) AS CHAR) AS opening,
       CAST(COALESCE(row_sum.leaved, 0) AS CHAR) AS leaved,
       CAST(COALESCE(row_sum.held, 0) AS CHAR) AS held,
       CAST(COALESCE(adjustment_sum.delta, 0) AS CHAR) AS adjusted,
       CAST(COALESCE(flow_sum.deducted, 0) AS CHAR) AS deducted,
       CAST(COALESCE(flow_sum.pending, 0) AS CHAR) AS pending,
       CAST(COALESCE(flow_sum.returned, 0) AS CHAR) AS returned,
       CAST(COALESCE(transfer_sum.moved_in, 0) AS CHAR) AS moved_in,
       CAST(COALESCE(transfer_sum.moved_out, 0) AS CHAR) AS moved_out,
       COALESCE(flow_sum.flow_count, 0) AS flow_count,
       CAST(COALESCE(flow_sum.pending_count, 0) AS SIGNED) AS pending_count
  FROM (SELECT sku_id, sub_row FROM stock${scope}
        UNION SELECT DISTINCT sku_id, sub_row FROM flow${and(scope, "status <> 'moved'")}
        UNION SELECT DISTINCT sku_id, 0 FROM adjustment${scope}) AS stock_row
  LEFT JOIN (SELECT sku_id, sub_row, opening_amount AS opening, leaved_amount AS leaved, held_amount AS held
               FROM stock${scope}) AS row_sum
    ON row_sum.sku_id = stock_row.sku_id AND row_sum.sub_row = stock_row.sub_row
  LEFT JOIN (SELECT sku_id, SUM(delta) AS delta
               FROM adjustment${scope} GROUP BY sku_id) AS adjustment_sum
    ON adjustment_sum.sku_id = stock_row.sku_id AND stock_row.sub_row = 0
  LEFT JOIN (SELECT sku_id, sub_row, SUM(quantity) AS deducted, SUM(returned) AS returned, COUNT(*) AS flow_count,
                    SUM(IF(status = 'pending', quantity, 0)) AS pending, SUM(status = 'pending') AS pending_count
               FROM (SELECT sku_id, sub_row, quantity, returned, status FROM flow${scope}) AS flow
              WHERE status IN ('deducted', 'pending', 'cancelled') GROUP BY sku_id, sub_row) AS flow_sum
    ON flow_sum.sku_id = stock_row.sku_id AND flow_sum.sub_row = stock_row.sub_row
  LEFT JOIN (SELECT sku_id, sub_row,
                    SUM(IF(direction = 'in', amount, 0)) AS moved_in, SUM(IF(direction = 'out', amount, 0)) AS moved_out
               FROM transfer${scope} GROUP BY sku_id, sub_row) AS transfer_sum
    ON transfer_sum.sku_id = stock_row.sku_id AND transfer_sum.sub_row = stock_row.sub_row`;

const UNBALANCED = `
 WHERE COALESCE(row_sum.leaved, 0) + COALESCE(flow_sum.deducted, 0) + COALESCE(transfer_sum.moved_out, 0)
       <> COALESCE(row_sum.opening, 0) + COALESCE(adjustment_sum.delta, 0) + COALESCE(flow_sum.returned, 0)
          + COALESCE(transfer_sum.moved_in, 0)
    OR COALESCE(row_sum.held, 0) <> COALESCE(flow_sum.pending, 0)`;

function and(scope: string, condition: string): string {
  return scope === '' ? ` WHERE ${condition}` : `${scope} AND ${condition}`;
}

type Row = Readonly<
  Record<Exclude<keyof StockRowBalance, 'sku_id' | 'sub_row' | 'flow_count' | 'pending_count'>, string>
> & {
  readonly sku_id: Buffer;
  readonly sub_row: number;
  readonly flow_count: number;
  readonly pending_count: number;
};

/** The journal and the stock row of every SKU on a shard, as sums. The sums are returned as text and stay exact. */
export async function readBalances(connection: Connection, deadlineMs: DeadlineMs): Promise<SkuBalance[]> {
  return (await connection.rows<Row>(balances(''), [], deadlineMs)).map(balanceOf);
}

/** Stock rows that differ from the journal. The server sums up and returns no others. @param sku_ids null: all */
export async function readUnbalanced(
  snapshot: Snapshot,
  sku_ids: readonly string[] | null,
): Promise<StockRowBalance[]> {
  const scope = scopeOf(sku_ids);
  const values = Array.from({ length: SCOPES }, () => scope.values).flat();
  return (await snapshot.rows<Row>(`${balances(scope.sql)}${UNBALANCED}`, values)).map(balanceOf);
}

/**
 * The condition that selects some SKUs, for every table with that column.
 *
 * @param sku_ids null: all; otherwise at least one
 */
export function scopeOf(sku_ids: readonly string[] | null): { sql: string; values: SqlValue[] } {
  return sku_ids === null ? { sql: '', values: [] } : { sql: ' WHERE sku_id IN (?)', values: [sku_ids.map(bytesOf)] };
}

function balanceOf(row: Row): StockRowBalance {
  return {
    sku_id: textOf(row.sku_id),
    // MariaDB makes a DECIMAL of a union of columns and a literal, and returns it as text.
    sub_row: Number(row.sub_row),
    opening: BigInt(row.opening),
    adjusted: BigInt(row.adjusted),
    deducted: BigInt(row.deducted),
    returned: BigInt(row.returned),
    moved_in: BigInt(row.moved_in),
    moved_out: BigInt(row.moved_out),
    leaved: BigInt(row.leaved),
    held: BigInt(row.held),
    pending: BigInt(row.pending),
    flow_count: Number(row.flow_count),
    pending_count: Number(row.pending_count),
  };
}
