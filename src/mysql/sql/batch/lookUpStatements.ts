import { isSellable } from '../stock/sellable.ts';
import { totalOf } from '../stock/stockTotal.ts';

/**
 * Rows of a list as a table. Derived once more, because MySQL allows no locking clause on a JSON_TABLE itself (error
 * 3569).
 *
 * @param columns those after the number of the row
 */
const table = (columns: string): string =>
  `(SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (item FOR ORDINALITY, ${columns})) AS j) AS w`;

/** On MariaDB a bare NULL takes the type of neither side, and numbers are returned as text. */
const NO_COUNT = 'CAST(NULL AS UNSIGNED)';
const NO_INTEGER = 'CAST(NULL AS SIGNED)';
const NO_TOTAL = 'NULL AS total';
const NO_FLOW = `NULL AS order_id, ${NO_COUNT} AS attempt, ${NO_COUNT} AS quantity, ${NO_COUNT} AS returned,
       NULL AS status, ${NO_COUNT} AS moved_to, ${NO_COUNT} AS units_returned,
       NULL AS transaction_id, ${NO_COUNT} AS coordinator`;
const NO_ROW = `${NO_COUNT} AS sub_row, ${NO_COUNT} AS leaved_amount, ${NO_COUNT} AS held_amount,
       ${NO_COUNT} AS row_epoch, 0 AS is_open, 0 AS is_on_sale, 0 AS is_sellable`;
const NO_SHELF = `${NO_ROW}, ${NO_TOTAL}`;

export const FLOWS = (schema: string): string => `
SELECT w.item, 'flow' AS kind,
       f.order_id, f.attempt, f.quantity, f.returned, f.status, f.moved_to, r.quantity AS units_returned,
       f.transaction_id, f.coordinator,
       ${NO_INTEGER} AS delta, o.epoch IS NOT NULL AS is_mine,
       f.sub_row, ${NO_COUNT} AS leaved_amount, ${NO_COUNT} AS held_amount,
       ${NO_COUNT} AS row_epoch, 0 AS is_open, 0 AS is_on_sale, 0 AS is_sellable, ${NO_TOTAL}
  FROM ${table(`sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]',
                return_id VARCHAR(128) PATH '$[2]', slot SMALLINT UNSIGNED PATH '$[3]'`)}
  LEFT JOIN ${schema}.slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  STRAIGHT_JOIN ${schema}.flow f FORCE INDEX (PRIMARY)
    ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
  LEFT JOIN ${schema}.flow_return r FORCE INDEX (PRIMARY)
    ON r.sku_id = UNHEX(w.sku_id) AND r.order_detail_id = UNHEX(w.order_detail_id)
   AND r.return_id = UNHEX(w.return_id)`;

export const RECORDS = (schema: string): string => `
SELECT w.item, 'record' AS kind, ${NO_FLOW.replace('NULL AS status', 'r.state AS status')},
       ${NO_INTEGER} AS delta, 0 AS is_mine, ${NO_SHELF}
  FROM ${table("transaction_id VARCHAR(32) PATH '$[0]'")}
  STRAIGHT_JOIN ${schema}.order_record r FORCE INDEX (PRIMARY) ON r.transaction_id = UNHEX(w.transaction_id)`;

export const ADJUSTMENTS = (schema: string): string => `
SELECT w.item, 'adjustment' AS kind, ${NO_FLOW}, a.delta, 0 AS is_mine, ${NO_SHELF}
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]'")}
  STRAIGHT_JOIN ${schema}.adjustment a FORCE INDEX (PRIMARY)
    ON a.sku_id = UNHEX(w.sku_id) AND a.adjustment_id = UNHEX(w.adjustment_id)`;

export const TRANSFERS = (schema: string): string => `
SELECT w.item, 'transfer' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, 0 AS is_mine, ${NO_SHELF}
  FROM ${table(`sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(32) PATH '$[1]',
                direction SMALLINT UNSIGNED PATH '$[2]'`)}
  STRAIGHT_JOIN ${schema}.transfer t FORCE INDEX (PRIMARY)
    ON t.sku_id = UNHEX(w.sku_id) AND t.transfer_id = UNHEX(w.transfer_id) AND t.direction + 0 = w.direction`;

/**
 * As text: a sum is a DECIMAL, and may exceed what a number holds. It waits for no lock: the shard asserts the limit.
 */
export const TOTALS = (schema: string): string => `
SELECT w.item, 'total' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, 0 AS is_mine, ${NO_ROW},
       CAST(${totalOf('s', `${schema}.adjustment`)} AS CHAR) AS total
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]'")}
  STRAIGHT_JOIN ${schema}.stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0`;

/** All rows of a SKU on this shard: which of them its flows belong to is known only when the flows are read. */
export const STOCK_ROWS = (schema: string): string => `
SELECT w.item, 'stock row' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, o.epoch IS NOT NULL AS is_mine,
       s.sub_row, s.leaved_amount, s.held_amount, CAST(IF(s.intake = 'any', 0, s.epoch) AS UNSIGNED) AS row_epoch,
       s.intake <> 'none' AS is_open,
       s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6)) AS is_on_sale,
       ${isSellable('s')} AS is_sellable, ${NO_TOTAL}
  FROM ${table("slot SMALLINT UNSIGNED PATH '$[0]', sku_id VARCHAR(128) PATH '$[1]'")}
  LEFT JOIN ${schema}.slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  LEFT JOIN ${schema}.stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id)`;
