import type { Knex } from 'knex';

/** The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the schema after this migration. */
export const oldestGateway = 3;

/** Ids come as hexadecimal digits: JSON has no bytes. */
const id = (column: string, place: number): string => `${column} VARCHAR(128) PATH '$[${place}]'`;
const amount = (column: string, place: number): string => `${column} BIGINT UNSIGNED PATH '$[${place}]'`;
/** Derived once more, because MySQL takes no locking clause over a JSON_TABLE itself (error 3569). */
const table = (parameter: string, columns: readonly string[]): string => `(SELECT * FROM JSON_TABLE(${parameter}, '$[*]' COLUMNS (${columns.join(', ')})) AS j) AS w`;

/**
 * Writes what a batch has for this shard, inside a transaction that its caller has begun and ends; one packet may hold the
 * parts of several shards of a server. Whatever goes wrong is rolled back here, all parts together, so that no row lock ever
 * waits for a client; the error that ended it is told, and the rest of the packet is not run.
 *
 * Errors of its own: 45000 with number 30001 (a slot is not this shard's), 30002 (a flow is not as the gateway thought),
 * 30003 (it came too late, or names a time too far ahead), 30004 (a stock row is not as the gateway thought).
 *
 * Every list is sorted by the bytes of its key, and rows are locked in this order: slots, flows, returns, adjustments,
 * holds, stock. The deadline is looked at after everything by which somebody else can find out whether the batch stands:
 * who has seen the deadline pass, and then finds nothing under a lock, knows that nothing will come.
 */
const APPLY_PART = `
CREATE PROCEDURE apply_part_1(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_returns JSON, p_adjustments JSON,
  p_holds JSON, p_unheld JSON, p_shelves JSON)
SQL SECURITY INVOKER
BEGIN
  DECLARE v_owned INT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;

  SELECT COUNT(o.epoch) INTO v_owned
    FROM ${table('p_slots', ["slot SMALLINT UNSIGNED PATH '$'"])} STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
    LOCK IN SHARE MODE;
  IF v_owned <> JSON_LENGTH(p_slots) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.quantity, w.attempt, w.status, w.returned
      FROM ${table('p_flows', [
        ...[id('sku_id', 0), id('order_detail_id', 1), id('order_id', 2)],
        ...[amount('quantity', 3), amount('attempt', 4), amount('status', 5), amount('returned', 6)],
      ])};
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE ${table('p_changes', [
      ...[id('sku_id', 0), id('order_detail_id', 1)],
      ...[id('was_order_id', 2), amount('was_attempt', 3), amount('was_quantity', 4), amount('was_returned', 5), amount('was_status', 6)],
      ...[id('order_id', 7), amount('attempt', 8), amount('quantity', 9), amount('returned', 10), amount('status', 11), amount('is_new', 12)],
    ])} STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned, f.status = w.status,
           f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at)
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status;
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM ${table('p_returns', [id('sku_id', 0), id('order_detail_id', 1), id('return_id', 2), amount('quantity', 3)])};
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM ${table('p_adjustments', [id('sku_id', 0), id('adjustment_id', 1), "delta BIGINT PATH '$[2]'", "reason VARCHAR(2040) PATH '$[3]'"])};
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM ${table('p_holds', [id('sku_id', 0), id('order_detail_id', 1), id('order_id', 2), amount('attempt', 3)])}
    -- The flow was free until now, so whatever note there is of a hold is a stray one.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM ${table('p_unheld', [id('sku_id', 0), id('order_detail_id', 1), id('order_id', 2), amount('attempt', 3)])}
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY) ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    UPDATE ${table('p_shelves', [
      ...[id('sku_id', 0), amount('leaved_in', 1), amount('leaved_out', 2), amount('held_in', 3), amount('held_out', 4)],
      ...[amount('leaved_min', 5), amount('total_max', 6), amount('must_be_on_sale', 7)],
    ])} STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
       SET s.leaved_amount = s.leaved_amount + w.leaved_in - w.leaved_out, s.held_amount = s.held_amount + w.held_in - w.held_out,
           s.version = s.version + 1
     WHERE s.leaved_amount >= w.leaved_min AND s.leaved_amount + s.held_amount <= w.total_max
       AND (w.must_be_on_sale = 0 OR (s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6))));
    IF ROW_COUNT() <> JSON_LENGTH(p_shelves) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30004, MESSAGE_TEXT = 'a stock row is not as it was';
    END IF;
  END IF;
END`;

export async function up(knex: Knex): Promise<void> {
  // A procedure keeps the mode it was made in, and too long an id must be an error in it.
  await knex.raw("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'");
  await knex.raw('DROP PROCEDURE IF EXISTS apply_part_1');
  await knex.raw(APPLY_PART.replaceAll('?', '\\?'));
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
