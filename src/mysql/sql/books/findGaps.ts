import { NAMED_FLOWS_MAX } from '../../../core/books/reconciliation.ts';
import type { SqlValue } from '../../connection/connection.ts';
import type { Snapshot } from '../../connection/snapshot.ts';
import { textOf } from '../text/bytes.ts';
import { scopeOf } from './readBalances.ts';

/** The flows of one SKU on which two tables disagree. */
export interface Gap {
  readonly sku_id: string;
  readonly expected: bigint;
  readonly actual: bigint;
  readonly flow_count: number;
  readonly order_detail_ids: readonly string[];
}

/** Rows `sku_id, order_detail_id, expected, actual` of every flow on which two tables disagree. */
type GapRows = (scope: string) => string;

const given = (scope: string): string =>
  `(SELECT sku_id, order_detail_id, SUM(quantity) AS units
     FROM flow_return${scope} GROUP BY sku_id, order_detail_id) AS given`;

/** Returned units as flows count them, against their returns. */
const RETURNED: GapRows = (scope) => `
SELECT flow.sku_id, flow.order_detail_id, COALESCE(given.units, 0) AS expected, flow.returned AS actual
  FROM (SELECT sku_id, order_detail_id, returned FROM flow${scope}) AS flow
  LEFT JOIN ${given(scope)} ON given.sku_id = flow.sku_id AND given.order_detail_id = flow.order_detail_id
 WHERE flow.returned <> COALESCE(given.units, 0)
 UNION ALL
SELECT given.sku_id, given.order_detail_id, given.units, 0
  FROM ${given(scope)} LEFT JOIN flow ON flow.sku_id = given.sku_id AND flow.order_detail_id = given.order_detail_id
 WHERE flow.sku_id IS NULL`;

const SAME_HOLD =
  'cart_hold.sku_id = flow.sku_id AND cart_hold.order_detail_id = flow.order_detail_id ' +
  'AND cart_hold.order_id = flow.order_id AND cart_hold.attempt = flow.attempt ' +
  'AND cart_hold.transaction_id <=> flow.transaction_id AND cart_hold.coordinator <=> flow.coordinator';
const CART = 'order_id, attempt, transaction_id, coordinator';

/** Pending flows, against the rows of their holds. */
const HOLD_ROWS: GapRows = (scope) => `
SELECT flow.sku_id, flow.order_detail_id, 1 AS expected, 0 AS actual
  FROM (SELECT sku_id, order_detail_id, ${CART}, status FROM flow${scope}) AS flow
  LEFT JOIN cart_hold ON ${SAME_HOLD}
 WHERE flow.status = 'pending' AND cart_hold.sku_id IS NULL
 UNION ALL
SELECT cart_hold.sku_id, cart_hold.order_detail_id, 0, 1
  FROM (SELECT sku_id, order_detail_id, ${CART} FROM cart_hold${scope}) AS cart_hold
  LEFT JOIN flow ON ${SAME_HOLD} AND flow.status = 'pending'
 WHERE flow.sku_id IS NULL`;

/** SKUs with a flow that counts other units than its returns have. @param sku_ids null: all */
export function findReturnGaps(snapshot: Snapshot, sku_ids: readonly string[] | null): Promise<Gap[]> {
  return findGaps(snapshot, { rows: RETURNED, scopes: 3 }, sku_ids);
}

/** SKUs with a pending flow that has no row of its hold, or the reverse. @param sku_ids null: all */
export function findHoldGaps(snapshot: Snapshot, sku_ids: readonly string[] | null): Promise<Gap[]> {
  return findGaps(snapshot, { rows: HOLD_ROWS, scopes: 2 }, sku_ids);
}

/** @param scopes how often the scope occurs in the rows' text */
async function findGaps(
  snapshot: Snapshot,
  { rows, scopes }: { rows: GapRows; scopes: number },
  sku_ids: readonly string[] | null,
): Promise<Gap[]> {
  const text = (of: readonly string[] | null): { sql: string; values: SqlValue[] } => {
    const scope = scopeOf(of);
    return { sql: rows(scope.sql), values: Array.from({ length: scopes }, () => scope.values).flat() };
  };
  const all = text(sku_ids);
  const found = await snapshot.rows<{ sku_id: Buffer; flow_count: number; expected: string; actual: string }>(
    `SELECT sku_id, COUNT(*) AS flow_count, CAST(SUM(expected) AS CHAR) AS expected, CAST(SUM(actual) AS CHAR) AS actual
       FROM (${all.sql}) AS gap GROUP BY sku_id`,
    all.values,
  );
  const gaps: Gap[] = [];
  for (const { sku_id, flow_count, expected, actual } of found) {
    const one = text([textOf(sku_id)]);
    const flows = await snapshot.rows<{ order_detail_id: Buffer }>(
      `SELECT order_detail_id FROM (${one.sql}) AS gap ORDER BY order_detail_id LIMIT ${NAMED_FLOWS_MAX}`,
      one.values,
    );
    const order_detail_ids = flows.map((flow) => textOf(flow.order_detail_id));
    gaps.push({
      sku_id: textOf(sku_id),
      expected: BigInt(expected),
      actual: BigInt(actual),
      flow_count: Number(flow_count),
      order_detail_ids,
    });
  }
  return gaps;
}
