-- The tables and procedures of a shard after all migrations, as MySQL prints them. It is never run: npm run
-- migrate creates a shard. test/mysql/schema.test.ts compares it, and writes it with STOCKGATE_RECORD_SCHEMA=1.

CREATE PROCEDURE `apply_part_1`(
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
    FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
    LOCK IN SHARE MODE;
  IF v_owned <> JSON_LENGTH(p_slots) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.quantity, w.attempt, w.status, w.returned
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
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
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
    -- The flow was free until now, so whatever note there is of a hold is a stray one.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY) ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', leaved_in BIGINT UNSIGNED PATH '$[1]', leaved_out BIGINT UNSIGNED PATH '$[2]', held_in BIGINT UNSIGNED PATH '$[3]', held_out BIGINT UNSIGNED PATH '$[4]', leaved_min BIGINT UNSIGNED PATH '$[5]', total_max BIGINT UNSIGNED PATH '$[6]', must_be_on_sale BIGINT UNSIGNED PATH '$[7]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
       SET s.leaved_amount = s.leaved_amount + w.leaved_in - w.leaved_out, s.held_amount = s.held_amount + w.held_in - w.held_out,
           s.version = s.version + 1
     WHERE s.leaved_amount >= w.leaved_min AND s.leaved_amount + s.held_amount <= w.total_max
       AND (w.must_be_on_sale = 0 OR (s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6))));
    IF ROW_COUNT() <> JSON_LENGTH(p_shelves) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30004, MESSAGE_TEXT = 'a stock row is not as it was';
    END IF;
  END IF;
END;

CREATE PROCEDURE `apply_part_2`(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_returns JSON, p_adjustments JSON, p_transfers JSON,
  p_holds JSON, p_unheld JSON, p_shelves JSON)
    SQL SECURITY INVOKER
BEGIN
  DECLARE v_owned INT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;

  IF p_slots IS NOT NULL THEN
    SELECT COUNT(o.epoch) INTO v_owned
      FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
      LOCK IN SHARE MODE;
    IF v_owned <> JSON_LENGTH(p_slots) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
    END IF;
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned, sub_row)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.quantity, w.attempt, w.status, w.returned, w.sub_row
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]', sub_row BIGINT UNSIGNED PATH '$[7]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]', sub_row BIGINT UNSIGNED PATH '$[13]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned, f.status = w.status,
           f.sub_row = w.sub_row, f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at)
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status;
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction, w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(128) PATH '$[1]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]', amount BIGINT UNSIGNED PATH '$[4]', other_shard BIGINT UNSIGNED PATH '$[5]', other_sub_row BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
    -- The flow was free until now, so whatever note there is of a hold is a stray one.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY) ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', leaved_in BIGINT UNSIGNED PATH '$[2]', leaved_out BIGINT UNSIGNED PATH '$[3]', held_in BIGINT UNSIGNED PATH '$[4]', held_out BIGINT UNSIGNED PATH '$[5]', leaved_min BIGINT UNSIGNED PATH '$[6]', total_max BIGINT UNSIGNED PATH '$[7]', must_be_on_sale BIGINT UNSIGNED PATH '$[8]', epoch BIGINT UNSIGNED PATH '$[9]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.leaved_amount = s.leaved_amount + w.leaved_in - w.leaved_out, s.held_amount = s.held_amount + w.held_in - w.held_out,
           s.version = s.version + 1
     WHERE s.leaved_amount >= w.leaved_min AND s.leaved_amount + s.held_amount <= w.total_max
       AND (w.epoch IS NULL OR (s.intake <> 'none' AND w.epoch = IF(s.intake = 'any', 0, s.epoch)))
       AND (w.must_be_on_sale = 0 OR (s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6))));
    IF ROW_COUNT() <> JSON_LENGTH(p_shelves) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30004, MESSAGE_TEXT = 'a stock row is not as it was';
    END IF;
  END IF;
END;

CREATE PROCEDURE `apply_part_3`(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_returns JSON, p_adjustments JSON, p_transfers JSON,
  p_holds JSON, p_unheld JSON, p_shelves JSON, p_brings_new TINYINT)
    SQL SECURITY INVOKER
BEGIN
  DECLARE v_owned INT;
  DECLARE v_after_ms INT DEFAULT 0;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;

  IF p_slots IS NOT NULL THEN
    SELECT COUNT(o.epoch) INTO v_owned
      FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
      LOCK IN SHARE MODE;
    IF v_owned <> JSON_LENGTH(p_slots) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
    END IF;
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned, sub_row)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.quantity, w.attempt, w.status, w.returned, w.sub_row
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]', sub_row BIGINT UNSIGNED PATH '$[7]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]', sub_row BIGINT UNSIGNED PATH '$[13]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned, f.status = w.status,
           f.sub_row = w.sub_row, f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at)
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status;
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction, w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(128) PATH '$[1]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]', amount BIGINT UNSIGNED PATH '$[4]', other_shard BIGINT UNSIGNED PATH '$[5]', other_sub_row BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
    -- The flow was free until now, so whatever note there is of a hold is a stray one.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY) ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    IF p_brings_new THEN
      SELECT sellable_after_ms INTO v_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE;
    END IF;
    IF v_after_ms > 0 THEN
      -- Before the amounts: in which order a statement over two tables assigns is not said.
      UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', is_new BIGINT UNSIGNED PATH '$[10]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
         SET s.sellable_from = SYSDATE(6) + INTERVAL v_after_ms * 1000 MICROSECOND
       WHERE w.is_new = 1 AND s.leaved_amount + s.held_amount = 0;
    END IF;
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', leaved_in BIGINT UNSIGNED PATH '$[2]', leaved_out BIGINT UNSIGNED PATH '$[3]', held_in BIGINT UNSIGNED PATH '$[4]', held_out BIGINT UNSIGNED PATH '$[5]', leaved_min BIGINT UNSIGNED PATH '$[6]', total_max BIGINT UNSIGNED PATH '$[7]', must_be_on_sale BIGINT UNSIGNED PATH '$[8]', epoch BIGINT UNSIGNED PATH '$[9]', is_new BIGINT UNSIGNED PATH '$[10]', must_be_sellable BIGINT UNSIGNED PATH '$[11]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.leaved_amount = s.leaved_amount + w.leaved_in - w.leaved_out, s.held_amount = s.held_amount + w.held_in - w.held_out,
           s.version = s.version + 1
     WHERE s.leaved_amount >= w.leaved_min AND s.leaved_amount + s.held_amount <= w.total_max
       AND (w.epoch IS NULL OR (s.intake <> 'none' AND w.epoch = IF(s.intake = 'any', 0, s.epoch)))
       AND (w.must_be_on_sale = 0 OR (s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6))))
       -- So far ahead only a clock that was set back can have put it.
       AND (w.must_be_sellable = 0 OR s.sellable_from IS NULL OR s.sellable_from <= SYSDATE(6) OR s.sellable_from > SYSDATE(6) + INTERVAL 2 SECOND);
    IF ROW_COUNT() <> JSON_LENGTH(p_shelves) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30004, MESSAGE_TEXT = 'a stock row is not as it was';
    END IF;
  END IF;
END;

CREATE PROCEDURE `apply_part_4`(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_returns JSON, p_adjustments JSON,
  p_transfers JSON, p_holds JSON, p_unheld JSON, p_shelves JSON, p_brings_new TINYINT)
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
      FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w
      STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
      LOCK IN SHARE MODE;
    IF v_owned <> JSON_LENGTH(p_slots) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
    END IF;
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned, sub_row)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id),
           w.quantity, w.attempt, w.status, w.returned, w.sub_row
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]', sub_row BIGINT UNSIGNED PATH '$[7]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]', sub_row BIGINT UNSIGNED PATH '$[13]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
        ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned,
           f.status = w.status, f.sub_row = w.sub_row, f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at)
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status;
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction,
           w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(128) PATH '$[1]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]', amount BIGINT UNSIGNED PATH '$[4]', other_shard BIGINT UNSIGNED PATH '$[5]', other_sub_row BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
    -- The flow was free until now, so a row of a hold that stands here is left over.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY)
        ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    IF p_brings_new THEN
      -- Locked before the row of precheck: a heartbeat waits for that row, and must not wait for a stock row with it.
      SELECT COUNT(s.version) INTO v_owned
        FROM (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
        FOR UPDATE;
      SELECT sellable_after_ms INTO v_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE;
    END IF;
    IF v_after_ms > 0 THEN
      -- Before the amounts: the order in which a statement over two tables assigns is not defined.
      UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', is_new BIGINT UNSIGNED PATH '$[10]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
         SET s.sellable_from = SYSDATE(6) + INTERVAL v_after_ms * 1000 MICROSECOND
       WHERE w.is_new = 1 AND s.leaved_amount + s.held_amount = 0;
    END IF;
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', leaved_in BIGINT UNSIGNED PATH '$[2]', leaved_out BIGINT UNSIGNED PATH '$[3]', held_in BIGINT UNSIGNED PATH '$[4]', held_out BIGINT UNSIGNED PATH '$[5]', leaved_min BIGINT UNSIGNED PATH '$[6]', total_max BIGINT UNSIGNED PATH '$[7]', must_be_on_sale BIGINT UNSIGNED PATH '$[8]', epoch BIGINT UNSIGNED PATH '$[9]', is_new BIGINT UNSIGNED PATH '$[10]', must_be_sellable BIGINT UNSIGNED PATH '$[11]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
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

  IF p_adjustments IS NOT NULL THEN
    SELECT COUNT(*) INTO v_too_many
      FROM (SELECT DISTINCT w.sku_id FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', delta BIGINT PATH '$[2]')) AS j) AS w WHERE w.delta > 0) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
     WHERE s.opening_amount
         + (SELECT SUM(a.delta) FROM adjustment a FORCE INDEX (PRIMARY) WHERE a.sku_id = s.sku_id) > 9007199254740991;
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
END;

CREATE PROCEDURE `apply_part_5`(
  p_deadline DATETIME(6), p_slots JSON, p_flows JSON, p_changes JSON, p_returns JSON, p_adjustments JSON,
  p_transfers JSON, p_holds JSON, p_unheld JSON, p_shelves JSON, p_brings_new TINYINT)
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
      FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w
      STRAIGHT_JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
      LOCK IN SHARE MODE;
    IF v_owned <> JSON_LENGTH(p_slots) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'a slot is not this shard''s';
    END IF;
  END IF;

  IF p_flows IS NOT NULL THEN
    INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, returned, sub_row)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id),
           w.quantity, w.attempt, w.status, w.returned, w.sub_row
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]', sub_row BIGINT UNSIGNED PATH '$[7]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]', sub_row BIGINT UNSIGNED PATH '$[13]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
        ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
       SET f.order_id = UNHEX(w.order_id), f.attempt = w.attempt, f.quantity = w.quantity, f.returned = w.returned,
           f.status = w.status, f.sub_row = w.sub_row, f.created_at = IF(w.is_new, CURRENT_TIMESTAMP(6), f.created_at)
     WHERE f.order_id = UNHEX(w.was_order_id) AND f.attempt = w.was_attempt AND f.quantity = w.was_quantity
       AND f.returned = w.was_returned AND f.status + 0 = w.was_status;
    IF ROW_COUNT() <> JSON_LENGTH(p_changes) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a flow is not as it was';
    END IF;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction,
           w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(128) PATH '$[1]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]', amount BIGINT UNSIGNED PATH '$[4]', other_shard BIGINT UNSIGNED PATH '$[5]', other_sub_row BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
    -- The flow was free until now, so a row of a hold that stands here is left over.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY)
        ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt;
  END IF;

  IF p_shelves IS NOT NULL THEN
    IF p_brings_new THEN
      -- Locked before the row of precheck: a heartbeat waits for that row, and must not wait for a stock row with it.
      SELECT COUNT(s.version) INTO v_owned
        FROM (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
        FOR UPDATE;
      SELECT sellable_after_ms INTO v_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE;
    END IF;
    IF v_after_ms > 0 THEN
      -- Before the amounts: the order in which a statement over two tables assigns is not defined.
      UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', is_new BIGINT UNSIGNED PATH '$[10]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
         SET s.sellable_from = SYSDATE(6) + INTERVAL v_after_ms * 1000 MICROSECOND
       WHERE w.is_new = 1 AND s.leaved_amount + s.held_amount = 0;
    END IF;
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', leaved_in BIGINT UNSIGNED PATH '$[2]', leaved_out BIGINT UNSIGNED PATH '$[3]', held_in BIGINT UNSIGNED PATH '$[4]', held_out BIGINT UNSIGNED PATH '$[5]', leaved_min BIGINT UNSIGNED PATH '$[6]', total_max BIGINT UNSIGNED PATH '$[7]', must_be_on_sale BIGINT UNSIGNED PATH '$[8]', epoch BIGINT UNSIGNED PATH '$[9]', is_new BIGINT UNSIGNED PATH '$[10]', must_be_sellable BIGINT UNSIGNED PATH '$[11]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
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
    UPDATE (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.sellable_from = NULL
     WHERE w.direction = 2 AND s.sellable_from IS NOT NULL;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    SELECT COUNT(*) INTO v_too_many
      FROM (SELECT DISTINCT w.sku_id FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', delta BIGINT PATH '$[2]')) AS j) AS w WHERE w.delta > 0) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
     WHERE s.opening_amount
         + (SELECT SUM(a.delta) FROM adjustment a FORCE INDEX (PRIMARY) WHERE a.sku_id = s.sku_id) > 9007199254740991;
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
END;

CREATE PROCEDURE `apply_part_6`(
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
      FROM (SELECT * FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$')) AS j) AS w
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
      FROM (SELECT * FROM JSON_TABLE(p_flows, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]', attempt BIGINT UNSIGNED PATH '$[4]', status BIGINT UNSIGNED PATH '$[5]', returned BIGINT UNSIGNED PATH '$[6]', sub_row BIGINT UNSIGNED PATH '$[7]', transaction_id VARCHAR(32) PATH '$[8]', coordinator BIGINT UNSIGNED PATH '$[9]')) AS j) AS w;
  END IF;

  IF p_changes IS NOT NULL THEN
    UPDATE (SELECT * FROM JSON_TABLE(p_changes, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', was_order_id VARCHAR(128) PATH '$[2]', was_attempt BIGINT UNSIGNED PATH '$[3]', was_quantity BIGINT UNSIGNED PATH '$[4]', was_returned BIGINT UNSIGNED PATH '$[5]', was_status BIGINT UNSIGNED PATH '$[6]', order_id VARCHAR(128) PATH '$[7]', attempt BIGINT UNSIGNED PATH '$[8]', quantity BIGINT UNSIGNED PATH '$[9]', returned BIGINT UNSIGNED PATH '$[10]', status BIGINT UNSIGNED PATH '$[11]', is_new BIGINT UNSIGNED PATH '$[12]', sub_row BIGINT UNSIGNED PATH '$[13]', was_transaction_id VARCHAR(32) PATH '$[14]', transaction_id VARCHAR(32) PATH '$[15]', coordinator BIGINT UNSIGNED PATH '$[16]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
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
    DELETE f FROM (SELECT * FROM JSON_TABLE(p_undone, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', quantity BIGINT UNSIGNED PATH '$[2]', transaction_id VARCHAR(32) PATH '$[3]')) AS j) AS w STRAIGHT_JOIN flow f FORCE INDEX (PRIMARY)
        ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
     WHERE f.status = 'pending' AND f.quantity = w.quantity AND f.transaction_id = UNHEX(w.transaction_id);
    IF ROW_COUNT() <> JSON_LENGTH(p_undone) THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30002, MESSAGE_TEXT = 'a hold is not as it was';
    END IF;
  END IF;

  IF p_records IS NOT NULL THEN
    INSERT INTO order_record (transaction_id, state, order_id, order_lines)
    SELECT UNHEX(w.transaction_id), 'committed', UNHEX(w.order_id), UNHEX(w.order_lines)
      FROM (SELECT * FROM JSON_TABLE(p_records, '$[*]' COLUMNS (transaction_id VARCHAR(32) PATH '$[0]', order_id VARCHAR(128) PATH '$[1]', order_lines LONGTEXT PATH '$[2]')) AS j) AS w;
  END IF;

  IF p_returns IS NOT NULL THEN
    INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.return_id), w.quantity
      FROM (SELECT * FROM JSON_TABLE(p_returns, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', quantity BIGINT UNSIGNED PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    INSERT INTO adjustment (sku_id, adjustment_id, delta, reason)
    SELECT UNHEX(w.sku_id), UNHEX(w.adjustment_id), w.delta, CONVERT(UNHEX(w.reason) USING utf8mb4)
      FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]', delta BIGINT PATH '$[2]', reason VARCHAR(2040) PATH '$[3]')) AS j) AS w;
  END IF;

  IF p_transfers IS NOT NULL THEN
    INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
    SELECT UNHEX(w.sku_id), UNHEX(w.transfer_id), w.direction,
           w.sub_row, w.amount, w.other_shard, w.other_sub_row, w.direction = 1
      FROM (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(128) PATH '$[1]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]', amount BIGINT UNSIGNED PATH '$[4]', other_shard BIGINT UNSIGNED PATH '$[5]', other_sub_row BIGINT UNSIGNED PATH '$[6]')) AS j) AS w;
  END IF;

  IF SYSDATE(6) > p_deadline OR p_deadline > SYSDATE(6) + INTERVAL 5 SECOND THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30003, MESSAGE_TEXT = 'it came too late';
  END IF;

  IF p_holds IS NOT NULL THEN
    INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator)
    SELECT UNHEX(w.sku_id), UNHEX(w.order_detail_id), UNHEX(w.order_id), w.attempt,
           UNHEX(w.transaction_id), w.coordinator
      FROM (SELECT * FROM JSON_TABLE(p_holds, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]', transaction_id VARCHAR(32) PATH '$[4]', coordinator BIGINT UNSIGNED PATH '$[5]')) AS j) AS w
    -- The flow was free until now, so an existing row of a hold here is out of date.
    ON DUPLICATE KEY UPDATE order_id = VALUES(order_id), attempt = VALUES(attempt),
      transaction_id = VALUES(transaction_id), coordinator = VALUES(coordinator);
  END IF;

  IF p_unheld IS NOT NULL THEN
    DELETE h FROM (SELECT * FROM JSON_TABLE(p_unheld, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', order_id VARCHAR(128) PATH '$[2]', attempt BIGINT UNSIGNED PATH '$[3]', transaction_id VARCHAR(32) PATH '$[4]', coordinator BIGINT UNSIGNED PATH '$[5]')) AS j) AS w
      STRAIGHT_JOIN cart_hold h FORCE INDEX (PRIMARY)
        ON h.sku_id = UNHEX(w.sku_id) AND h.order_detail_id = UNHEX(w.order_detail_id)
     WHERE h.order_id = UNHEX(w.order_id) AND h.attempt = w.attempt
       AND h.transaction_id <=> UNHEX(w.transaction_id);
  END IF;

  IF p_shelves IS NOT NULL THEN
    IF p_brings_new THEN
      -- Locked before the row of precheck: a heartbeat waits for that row, and must not wait for a stock row with it.
      SELECT COUNT(s.version) INTO v_owned
        FROM (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
        FOR UPDATE;
      SELECT sellable_after_ms INTO v_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE;
    END IF;
    IF v_after_ms > 0 THEN
      -- Before the amounts: the order in which a statement over two tables assigns is not defined.
      UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', is_new BIGINT UNSIGNED PATH '$[10]')) AS j) AS w
        STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
         SET s.sellable_from = SYSDATE(6) + INTERVAL v_after_ms * 1000 MICROSECOND
       WHERE w.is_new = 1 AND s.leaved_amount + s.held_amount = 0;
    END IF;
    UPDATE (SELECT * FROM JSON_TABLE(p_shelves, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', sub_row BIGINT UNSIGNED PATH '$[1]', leaved_in BIGINT UNSIGNED PATH '$[2]', leaved_out BIGINT UNSIGNED PATH '$[3]', held_in BIGINT UNSIGNED PATH '$[4]', held_out BIGINT UNSIGNED PATH '$[5]', leaved_min BIGINT UNSIGNED PATH '$[6]', total_max BIGINT UNSIGNED PATH '$[7]', must_be_on_sale BIGINT UNSIGNED PATH '$[8]', epoch BIGINT UNSIGNED PATH '$[9]', is_new BIGINT UNSIGNED PATH '$[10]', must_be_sellable BIGINT UNSIGNED PATH '$[11]')) AS j) AS w STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
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
    UPDATE (SELECT * FROM JSON_TABLE(p_transfers, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', direction BIGINT UNSIGNED PATH '$[2]', sub_row BIGINT UNSIGNED PATH '$[3]')) AS j) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = w.sub_row
       SET s.sellable_from = NULL
     WHERE w.direction = 2 AND s.sellable_from IS NOT NULL;
  END IF;

  IF p_adjustments IS NOT NULL THEN
    SELECT COUNT(*) INTO v_too_many
      FROM (SELECT DISTINCT w.sku_id FROM (SELECT * FROM JSON_TABLE(p_adjustments, '$[*]' COLUMNS (sku_id VARCHAR(128) PATH '$[0]', delta BIGINT PATH '$[2]')) AS j) AS w WHERE w.delta > 0) AS w
      STRAIGHT_JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0
     WHERE s.opening_amount
         + (SELECT SUM(a.delta) FROM adjustment a FORCE INDEX (PRIMARY) WHERE a.sku_id = s.sku_id) > 9007199254740991;
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
END;

CREATE TABLE `aborted_record` (
  `transaction_id` binary(16) NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`transaction_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `adjustment` (
  `sku_id` varbinary(64) NOT NULL,
  `adjustment_id` varbinary(64) NOT NULL,
  `delta` bigint NOT NULL,
  `reason` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`sku_id`,`adjustment_id`),
  KEY `by_time` (`sku_id`,`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `cart_hold` (
  `sku_id` varbinary(64) NOT NULL,
  `order_detail_id` varbinary(64) NOT NULL,
  `order_id` varbinary(64) NOT NULL,
  `attempt` int unsigned NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  `transaction_id` binary(16) DEFAULT NULL,
  `coordinator` smallint unsigned DEFAULT NULL,
  PRIMARY KEY (`sku_id`,`order_detail_id`),
  KEY `by_time` (`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `cart` (
  `order_id` varbinary(64) NOT NULL,
  `attempt` int unsigned NOT NULL,
  `token` binary(16) NOT NULL,
  `state` enum('open','committed','aborted') NOT NULL DEFAULT 'open',
  `order_lines` mediumblob NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  `decided_at` datetime(6) DEFAULT NULL,
  PRIMARY KEY (`order_id`,`attempt`),
  KEY `by_state` (`state`,`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `flow_return` (
  `sku_id` varbinary(64) NOT NULL,
  `order_detail_id` varbinary(64) NOT NULL,
  `return_id` varbinary(64) NOT NULL,
  `quantity` int unsigned NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`sku_id`,`order_detail_id`,`return_id`),
  KEY `by_time` (`sku_id`,`created_at`),
  CONSTRAINT `flow_return_chk_1` CHECK ((`quantity` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `flow` (
  `sku_id` varbinary(64) NOT NULL,
  `order_detail_id` varbinary(64) NOT NULL,
  `order_id` varbinary(64) NOT NULL,
  `quantity` int unsigned NOT NULL,
  `returned` int unsigned NOT NULL DEFAULT '0',
  `status` enum('deducted','pending','cancelled','void','moved') NOT NULL DEFAULT 'deducted',
  `sub_row` smallint unsigned NOT NULL DEFAULT '0',
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  `attempt` int unsigned NOT NULL DEFAULT '0',
  `moved_to` smallint unsigned DEFAULT NULL,
  `transaction_id` binary(16) DEFAULT NULL,
  `coordinator` smallint unsigned DEFAULT NULL,
  PRIMARY KEY (`sku_id`,`order_detail_id`),
  KEY `by_time` (`sku_id`,`created_at`),
  CONSTRAINT `flow_chk_2` CHECK ((`returned` <= `quantity`))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `generation` (
  `shard_index` smallint unsigned NOT NULL,
  `reached` bigint unsigned NOT NULL,
  PRIMARY KEY (`shard_index`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `hot_sku` (
  `sku_id` varbinary(64) NOT NULL,
  `revision` int unsigned NOT NULL,
  `state` enum('single','closing','opening','open') NOT NULL,
  `epoch` int unsigned NOT NULL,
  `last_epoch` int unsigned NOT NULL,
  `places` varchar(1000) NOT NULL,
  `next_places` varchar(1000) DEFAULT NULL,
  `earlier` mediumtext NOT NULL,
  `shards` varchar(4000) NOT NULL,
  `changed_at` datetime(6) NOT NULL,
  `lease_token` binary(16) DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  PRIMARY KEY (`sku_id`),
  KEY `by_state` (`state`,`changed_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `migration_lock` (
  `index` int unsigned NOT NULL AUTO_INCREMENT,
  `is_locked` int DEFAULT NULL,
  PRIMARY KEY (`index`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `migration` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(255) DEFAULT NULL,
  `batch` int DEFAULT NULL,
  `migration_time` timestamp NULL DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `order_record` (
  `transaction_id` binary(16) NOT NULL,
  `state` enum('committed','aborted') NOT NULL,
  `order_id` varbinary(64) NOT NULL,
  `order_lines` mediumblob NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`transaction_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `precheck` (
  `only_row` tinyint unsigned NOT NULL DEFAULT '1',
  `sellable_after_ms` smallint unsigned NOT NULL DEFAULT '0',
  `ready_at` datetime(6) DEFAULT NULL,
  `secret` binary(32) DEFAULT NULL,
  `heartbeat_at` datetime(6) DEFAULT NULL,
  PRIMARY KEY (`only_row`),
  CONSTRAINT `precheck_chk_1` CHECK ((`only_row` = 1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `reconciliation_walk` (
  `only_row` tinyint unsigned NOT NULL DEFAULT '1',
  `lease_token` binary(16) DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  `after_sku` varbinary(64) DEFAULT NULL,
  `after_record` binary(16) DEFAULT NULL,
  `round_skus` bigint unsigned NOT NULL DEFAULT '0',
  `last_round_skus` bigint unsigned DEFAULT NULL,
  `last_round_at` datetime(6) DEFAULT NULL,
  `open_differences` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci,
  PRIMARY KEY (`only_row`),
  CONSTRAINT `reconciliation_walk_chk_1` CHECK ((`only_row` = 1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `shard` (
  `only_row` tinyint unsigned NOT NULL DEFAULT '1',
  `shard_index` smallint unsigned NOT NULL,
  `initial_shards` smallint unsigned NOT NULL,
  `hash_version` smallint unsigned NOT NULL,
  `schema_level` smallint unsigned NOT NULL,
  `oldest_gateway` smallint unsigned NOT NULL,
  PRIMARY KEY (`only_row`),
  CONSTRAINT `shard_chk_1` CHECK ((`only_row` = 1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `slot` (
  `slot` smallint unsigned NOT NULL,
  `epoch` int unsigned NOT NULL,
  PRIMARY KEY (`slot`),
  CONSTRAINT `slot_chk_1` CHECK ((`slot` < 1024))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `stock` (
  `sku_id` varbinary(64) NOT NULL,
  `sub_row` smallint unsigned NOT NULL,
  `opening_amount` bigint unsigned NOT NULL,
  `leaved_amount` bigint unsigned NOT NULL,
  `version` bigint unsigned NOT NULL DEFAULT '0',
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  `held_amount` bigint unsigned NOT NULL DEFAULT '0',
  `sale_state` enum('on','paused') NOT NULL DEFAULT 'on',
  `sale_from` datetime(6) DEFAULT NULL,
  `epoch` int unsigned NOT NULL DEFAULT '0',
  `intake` enum('any','layout','none') NOT NULL DEFAULT 'any',
  `sellable_from` datetime(6) DEFAULT NULL,
  PRIMARY KEY (`sku_id`,`sub_row`),
  KEY `by_intake` (`intake`),
  CONSTRAINT `stock_chk_1` CHECK ((`leaved_amount` <= 9007199254740991))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `transfer` (
  `sku_id` varbinary(64) NOT NULL,
  `transfer_id` binary(16) NOT NULL,
  `direction` enum('out','in') NOT NULL,
  `sub_row` smallint unsigned NOT NULL,
  `amount` bigint unsigned NOT NULL,
  `other_shard` smallint unsigned NOT NULL,
  `other_sub_row` smallint unsigned NOT NULL,
  `is_open` tinyint unsigned NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`sku_id`,`transfer_id`,`direction`),
  KEY `by_open` (`is_open`,`sku_id`),
  CONSTRAINT `transfer_chk_1` CHECK ((`amount` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
