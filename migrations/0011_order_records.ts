import type { Knex } from 'knex';

/**
 * The oldest gateway level (`src/mysql/migrations/schemaLevel.ts`) that can still work with the schema after this
 * migration. Older gateways call the procedures up to `apply_part_5`, which do not change. They leave the new columns
 * empty. They cannot complete a hold of a transaction. So such holds are written only after older gateways were shut
 * out (`0012_records_only.ts`).
 */
export const oldestGateway = 6;

/** The largest number of units of one SKU, as it was when this migration was written. */
const STOCK_LIMIT = '9007199254740991';

const SQL_MODE = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

/** Ids come as hexadecimal digits: JSON has no bytes. */
const id = (column: string, place: number): string => `${column} VARCHAR(128) PATH '$[${place}]'`;
const amount = (column: string, place: number): string => `${column} BIGINT UNSIGNED PATH '$[${place}]'`;
const transactionId = (column: string, place: number): string => `${column} VARCHAR(32) PATH '$[${place}]'`;
const HOLD = [
  ...[id('sku_id', 0), id('order_detail_id', 1), id('order_id', 2), amount('attempt', 3)],
  ...[transactionId('transaction_id', 4), amount('coordinator', 5)],
];
const DELTA = "delta BIGINT PATH '$[2]'";
/** Derived once more, because MySQL takes no locking clause over a JSON_TABLE itself (error 3569). */
const table = (parameter: string, columns: readonly string[]): string =>
  `(SELECT * FROM JSON_TABLE(${parameter}, '$[*]' COLUMNS (${columns.join(', ')})) AS j) AS w`;

/**
 * The records of orders over several shards, on the shard that coordinates their transaction. The insert of a record is
 * its decision: a commit and an abort insert the same key, so one of them fails. The id begins with the time at which
 * the order began, by the clock of the coordinator, so that new records are written at the end of the table.
 */
const RECORDS = `
CREATE TABLE IF NOT EXISTS order_record (
  transaction_id BINARY(16) NOT NULL,
  state ENUM('committed', 'aborted') NOT NULL,
  order_id VARBINARY(64) NOT NULL,
  order_lines MEDIUMBLOB NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (transaction_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`;

/** The aborted records, which are deleted after a minute. An index of the records by state would cost every order. */
const ABORTED = `
CREATE TABLE IF NOT EXISTS aborted_record (
  transaction_id BINARY(16) NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (transaction_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`;

/** Null: the flow or the hold belongs to no order over several shards, or to one of an older gateway. */
const COLUMNS = ['transaction_id BINARY(16) NULL', 'coordinator SMALLINT UNSIGNED NULL'];

/**
 * Does what `apply_part_5` does, and writes the transactions of orders over several shards: flows and holds name the
 * transaction and its coordinator, and records are inserted together with the ids, before the deadline is asserted. A
 * hold that is undone leaves no flow.
 *
 * Its order of locks is: slots, flows, records, returns, adjustments, transfers, holds, stock, each by key.
 */
const APPLY_PART = `
CREATE PROCEDURE apply_part_6(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_undone JSON, p_records JSON, p_returns JSON,
  p_adjustments JSON, p_transfers JSON, p_holds JSON, p_unheld JSON, p_shelves JSON, p_brings_new TINYINT)
SQL SECURITY INVOKER
BEGIN
  DECLARE v_owned INT;
  DECLARE v_too_many INT;
  DECLARE v_after_ms INT DEFAULT 0;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;

  IF p_slots IS NOT NULL THEN
    SELECT COUNT(o.epoch) INTO v_owned
      FROM ${table('p_slots', ["slot SMALLINT UNSIGNED PATH '$'"])}
      STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
      LOCK IN SHARE MODE;
    IF v_owned <> JSON_LENGTH(p_slots) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
    END IF;
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow
      (sku_id, order_detail_id, order_id, quantity, attempt, status, returned, sub_row, transaction_id, coordinator)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id),
           w.quantity, w.attempt, w.status, w.returned, w.sub_row, UNHEX(w.transaction_id), w.coordinator
      FROM ${table('p_flows', [
        ...[id('sku_id', 0), id('order_detail_id', 1), id('order_id', 2)],
        ...[amount('quantity', 3), amount('attempt', 4), amount('status', 5)],
        ...[amount('returned', 6), amount('sub_row', 7)],
        ...[transactionId('transaction_id', 8), amount('coordinator', 9)],
      ])};
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE ${table('p_changes', [
      ...[id('sku_id', 0), id('order_detail_id', 1)],
      ...[id('was_order_id', 2), amount('was_attempt', 3), amount('was_quantity', 4)],
      ...[amount('was_returned', 5), amount('was_status', 6)],
      ...[id('order_id', 7), amount('attempt', 8), amount('quantity', 9), amount('returned', 10)],
      ...[amount('status', 11), amount('is_new', 12), amount('sub_row', 13)],
      ...[transactionId('was_transaction_id', 14), transactionId('transaction_id', 15), amount('coordinator', 16)],
    ])} STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
        ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned,
           f.status = w.status, f.sub_row = w.sub_row, f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at),
           f.transaction_id = UNHEX(w.transaction_id), f.coordinator = w.coordinator
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status
       AND f.transaction_id <=> UNHEX(w.was_transaction_id);
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_undone IS NOT NULL THEN
    DELETE f FROM ${table('p_undone', [
      ...[id('sku_id', 0), id('order_detail_id', 1), amount('quantity', 2), transactionId('transaction_id', 3)],
    ])} STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
        ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
     WHERE f.status = 'pending' AND f.quantity = w.quantity AND f.transaction_id = UNHEX(w.transaction_id);
    IF ROW_COUNT() <> JSON_LENGTH(p_undone) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a hold is not as it was';
    END IF;
  END IF;

  IF p_records IS NOT NULL THEN
    INSERT INTO order_record (transaction_id, state, order_id, order_lines)
    SELECT UNHEX(w.transaction_id), 'committed', UNHEX(w.order_id), UNHEX(w.order_lines)
      FROM ${table('p_records', [
        ...[transactionId('transaction_id', 0), id('order_id', 1), "order_lines LONGTEXT PATH '$[2]'"],
      ])};
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM ${table('p_returns', [
        ...[id('sku_id', 0), id('order_detail_id', 1), id('return_id', 2), amount('quantity', 3)],
      ])};
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM ${table('p_adjustments', [
        ...[id('sku_id', 0), id('adjustment_id', 1), DELTA, "reason VARCHAR(2040) PATH '$[3]'"],
      ])};
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction,
           w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM ${table('p_transfers', [
        ...[id('sku_id', 0), id('transfer_id', 1), amount('direction', 2)],
        ...[amount('sub_row', 3), amount('amount', 4)],
        ...[amount('other_shard', 5), amount('other_sub_row', 6)],
      ])};
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt,
           UNHEX(w.transaction_id), w.coordinator
      FROM ${table('p_holds', HOLD)}
    -- The flow was free until now, so an existing row of a hold here is out of date.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt),
      transaction_id = VALUES(transaction_id), coordinator = VALUES(coordinator);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM ${table('p_unheld', HOLD)}
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY)
        ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt
       AND h.transaction_id <=> UNHEX(w.transaction_id);
  END IF;

  IF p_shelves IS NOT NULL THEN
    IF p_brings_new THEN
      -- Locked before the row of precheck: a heartbeat waits for that row, and must not wait for a stock row with it.
      SELECT COUNT(s.version) INTO v_owned
        FROM ${table('p_shelves', [id('sku_id', 0), amount('sub_row', 1)])}
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
        FOR UPDATE;
      SELECT sellable_after_ms INTO v_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE;
    END IF;
    IF v_after_ms > 0 THEN
      -- Before the amounts: the order in which a statement over two tables assigns is not defined.
      UPDATE ${table('p_shelves', [id('sku_id', 0), amount('sub_row', 1), amount('is_new', 10)])}
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
         SET s.sellable_from = SYSDATE(6) + INTERVAL v_after_ms * 1000 MICROSECOND
       WHERE w.is_new = 1 AND s.leaved_amount + s.held_amount = 0;
    END IF;
    UPDATE ${table('p_shelves', [
      ...[id('sku_id', 0), amount('sub_row', 1)],
      ...[amount('leaved_in', 2), amount('leaved_out', 3), amount('held_in', 4), amount('held_out', 5)],
      ...[amount('leaved_min', 6), amount('total_max', 7), amount('must_be_on_sale', 8), amount('epoch', 9)],
      ...[amount('is_new', 10), amount('must_be_sellable', 11)],
    ])} STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.leaved_amount = s.leaved_amount + w.leaved_in - w.leaved_out,
           s.held_amount = s.held_amount + w.held_in - w.held_out,
           s.version = s.version + 1
     WHERE s.leaved_amount >= w.leaved_min AND s.leaved_amount + s.held_amount <= w.total_max
       AND (w.epoch IS NULL OR (s.intake <> 'none' AND w.epoch = IF(s.intake = 'any', 0, s.epoch)))
       AND (w.must_be_on_sale = 0 OR (s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6))))
       -- A moment more than 2 s ahead was written before the clock was set back.
       AND (w.must_be_sellable = 0 OR s.sellable_from IS NULL OR s.sellable_from <= SYSDATE(6)
            OR s.sellable_from > SYSDATE(6) + INTERVAL 2 SECOND);
    IF ROW_COUNT() <> JSON_LENGTH(p_shelves) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30004, MESSAGE_TEXT = 'a stock row is not as it was';
    END IF;
  END IF;

  IF p_transfers IS NOT NULL THEN
    -- After the amounts, so that the rows are locked in the order of p_shelves.
    UPDATE ${table('p_transfers', [id('sku_id', 0), amount('direction', 2), amount('sub_row', 3)])}
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.sellable_from = NULL
     WHERE w.direction = 2 AND s.sellable_from IS NOT NULL;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    SELECT COUNT(*) INTO v_too_many
      FROM (SELECT DISTINCT w.sku_id FROM ${table('p_adjustments', [id('sku_id', 0), DELTA])} WHERE w.delta > 0) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
     WHERE s.opening_amount
         + (SELECT SUM(a.delta) FROM adjustment a FORCE INDEX (PRIMARY) WHERE a.sku_id = s.sku_id) > ${STOCK_LIMIT};
    IF v_too_many > 0 THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30005, MESSAGE_TEXT = 'a SKU would pass the stock limit';
    END IF;
  END IF;

  IF SYSDATE(6) > p_deadline THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it waited too long for a lock';
  END IF;
  IF CONCAT(@@GLOBAL.read_only) NOT IN ('0', 'OFF') THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30006, MESSAGE_TEXT = 'the server is read-only';
  END IF;
END`;

export async function up(knex: Knex): Promise<void> {
  // A procedure keeps the mode it was made in, and too long an id must be an error in it.
  await knex.raw(`SET SESSION sql_mode = '${SQL_MODE}'`);
  await knex.raw(RECORDS);
  await knex.raw(ABORTED);
  for (const name of ['flow', 'cart_hold'])
    if (!(await knex.schema.hasColumn(name, 'transaction_id')))
      await knex.raw(
        `ALTER TABLE ${name} ${COLUMNS.map((column) => `ADD COLUMN ${column}`).join(', ')}, ALGORITHM = INSTANT`,
      );
  await knex.raw('DROP PROCEDURE IF EXISTS apply_part_6');
  await knex.raw(APPLY_PART.replaceAll('?', '\\?'));
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
