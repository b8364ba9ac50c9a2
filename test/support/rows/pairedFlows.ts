import type { OwnShards } from './ownShards.ts';

const DIGITS = `(SELECT 0 AS d${Array.from({ length: 9 }, (_, index) => ` UNION ALL SELECT ${index + 1}`).join('')})`;
/** The numbers from 0 to 9,999. */
const NUMBERS = `(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n
  FROM ${DIGITS} a, ${DIGITS} b, ${DIGITS} c, ${DIGITS} e) AS numbers`;
const TIME = "TIMESTAMP('2026-01-01') + INTERVAL n DIV 3 SECOND";

/** Opens a SKU on the first shard, with 10,000 deductions, returns and adjustments each, three a second. */
export async function insertPairedFlows(own: OwnShards, sku_id: string): Promise<void> {
  await own.query(
    0,
    `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('${sku_id}', 0, 5, 5)`,
  );
  await own.query(
    0,
    `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, returned, created_at)
     SELECT '${sku_id}', CONCAT('d', n), 'o', 1, 1, ${TIME} FROM ${NUMBERS}`,
  );
  await own.query(
    0,
    `INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity, created_at)
     SELECT '${sku_id}', CONCAT('d', n), 'r', 1, ${TIME} FROM ${NUMBERS}`,
  );
  await own.query(
    0,
    `INSERT INTO adjustment (sku_id, adjustment_id, delta, created_at)
     SELECT '${sku_id}', CONCAT('a', n), IF(n % 2, 1, -1), ${TIME} FROM ${NUMBERS}`,
  );
  await own.query(0, 'ANALYZE TABLE flow, flow_return, adjustment');
}
