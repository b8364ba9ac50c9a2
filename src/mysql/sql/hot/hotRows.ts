import type { OpenTransfer, SaleState } from '../../../core/ports/hotRows.ts';
import type { RowState } from '../../../core/hot/rebalancePlan.ts';
import type { DeadlineMs, ShardIndex, Transfer } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { DIRECTION } from '../batch/applyBatch.ts';
import { bytesOf } from '../text/bytes.ts';
import { ROW_EPOCH } from '../stock/rowEpoch.ts';
import { isSellable } from '../stock/sellable.ts';

/** The numbers of the words in the column's type. */
const INTAKE = { any: 1, layout: 2, none: 3 } as const;

/**
 * One statement, hence one snapshot: in it, the units of an open transfer have left their row. All numbers are signed:
 * a column with signed and unsigned numbers is returned as text.
 */
const READ = `
(SELECT 0 AS is_transfer, CAST(sub_row AS SIGNED) AS sub_row, ${ROW_EPOCH} AS epoch, intake <> 'none' AS is_open,
        CAST(leaved_amount AS SIGNED) AS units,
        CAST(IF(${isSellable('stock')}, leaved_amount, 0) AS SIGNED) AS sellable_amount,
        CAST(held_amount AS SIGNED) AS held_amount, CAST(version AS SIGNED) AS version,
        NULL AS transfer_id, 0 AS other_shard, 0 AS other_sub_row, 0 AS age_us
   FROM stock WHERE sku_id = ?)
UNION ALL
(SELECT 1, CAST(sub_row AS SIGNED), 0, 1,
        CAST(amount AS SIGNED),
        0,
        0, 0,
        transfer_id, CAST(other_shard AS SIGNED), CAST(other_sub_row AS SIGNED),
        CAST(TIMESTAMPDIFF(MICROSECOND, created_at, CURRENT_TIMESTAMP(6)) AS SIGNED)
   FROM transfer FORCE INDEX (by_open) WHERE is_open = 1 AND sku_id = ?)`;
const PREPARE =
  'INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount, epoch, intake) VALUES ? ' +
  'ON DUPLICATE KEY UPDATE sub_row = VALUES(sub_row)';
const CLOSE = `
UPDATE stock FORCE INDEX (PRIMARY) SET epoch = ?, intake = ${INTAKE.none}, version = version + 1
 WHERE sku_id = ? AND sub_row IN (?) AND epoch < ?`;
const OPEN = `
UPDATE stock FORCE INDEX (PRIMARY)
   SET epoch = ?, intake = ${INTAKE.layout}, sale_state = ?, sale_from = CAST(CAST(? AS CHAR) AS DATETIME(6)),
       version = version + 1
 WHERE sku_id = ? AND sub_row IN (?) AND (epoch < ? OR (epoch = ? AND intake = 'none'))`;
const COUNT =
  'SELECT COUNT(*) AS row_count FROM stock WHERE sku_id = ? AND sub_row IN (?) AND epoch = ? AND intake + 0 = ?';
const SALE =
  "SELECT sale_state, DATE_FORMAT(sale_from, '%Y-%m-%d %H:%i:%s.%f') AS sale_from " +
  'FROM stock WHERE sku_id = ? AND sub_row = 0';
const SETTLE =
  'UPDATE transfer FORCE INDEX (PRIMARY) SET is_open = 0 WHERE direction = ? AND (sku_id, transfer_id) IN (?)';
/** In random order, because the first rows may all concern a shard that cannot be reached. */
const UNTIDY = `
SELECT sku_id FROM (
(SELECT sku_id FROM hot_sku
  WHERE state IN ('closing', 'opening') AND changed_at <= CURRENT_TIMESTAMP(6) - INTERVAL ? MICROSECOND)
UNION
(SELECT sku_id FROM hot_sku
  WHERE state = 'open' AND (earlier <> '[]' OR places NOT LIKE '%,%')
    AND changed_at <= CURRENT_TIMESTAMP(6) - INTERVAL ? MICROSECOND)
UNION
(SELECT sku_id FROM stock FORCE INDEX (by_intake) WHERE intake = 'none' AND leaved_amount > 0)
UNION
(SELECT sku_id FROM transfer FORCE INDEX (by_open)
  WHERE is_open = 1 AND created_at <= CURRENT_TIMESTAMP(6) - INTERVAL ? MICROSECOND)
) AS untidy ORDER BY RAND() LIMIT ?`;

/** The numbers of the words in the columns' types. */
const SALE_STATES = { on: 1, paused: 2 } as const;

interface Row {
  readonly is_transfer: number;
  readonly sub_row: number;
  readonly epoch: number;
  readonly is_open: number;
  readonly units: number;
  readonly sellable_amount: number;
  readonly held_amount: number;
  readonly version: number;
  readonly transfer_id: Buffer;
  readonly other_shard: number;
  readonly other_sub_row: number;
  readonly age_us: number;
}

/** The rows of a SKU on a shard and the transfers from there that are open. */
export async function readHotRows(
  connection: Connection,
  shard: ShardIndex,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<{ rows: RowState[]; transfers: OpenTransfer[] }> {
  const found = await connection.rows<Row>(READ, [bytesOf(sku_id), bytesOf(sku_id)], deadlineMs);
  const rows: RowState[] = [];
  const transfers: OpenTransfer[] = [];
  for (const row of found) {
    const { sub_row, epoch, units, sellable_amount, held_amount, version } = row;
    if (row.is_transfer === 0)
      rows.push({
        shard,
        sub_row,
        epoch,
        isOpen: row.is_open === 1,
        leaved_amount: units,
        sellable_amount,
        held_amount,
        version,
      });
    else {
      const to = { shard: row.other_shard, sub_row: row.other_sub_row };
      transfers.push({
        sku_id,
        transfer_id: row.transfer_id.toString('hex'),
        amount: units,
        from: { shard, sub_row },
        to,
        ageMs: row.age_us / 1_000,
      });
    }
  }
  return { rows, transfers };
}

export async function prepareRows(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  sub_rows: readonly number[],
  epoch: number,
): Promise<void> {
  await transaction.run(PREPARE, [sub_rows.map((sub_row) => [bytesOf(sku_id), sub_row, 0, 0, epoch, INTAKE.none])]);
}

/** @returns how many were in an earlier epoch */
export async function closeRows(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  sub_rows: readonly number[],
  epoch: number,
): Promise<number> {
  return transaction.run(CLOSE, [epoch, bytesOf(sku_id), sub_rows, epoch]);
}

export async function openRows(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  sub_rows: readonly number[],
  epoch: number,
  { state, from }: SaleState,
): Promise<number> {
  return transaction.run(OPEN, [
    epoch,
    SALE_STATES[state],
    from === null ? null : Buffer.from(from, 'latin1'),
    bytesOf(sku_id),
    sub_rows,
    epoch,
    epoch,
  ]);
}

/** How many of the rows are in an epoch, open or closed. */
export async function countRows(
  connection: Connection,
  sku_id: string,
  sub_rows: readonly number[],
  epoch: number,
  intake: 'layout' | 'none',
  deadlineMs: DeadlineMs,
): Promise<number> {
  const [row] = await connection.rows<{ row_count: number }>(
    COUNT,
    [bytesOf(sku_id), sub_rows, epoch, INTAKE[intake]],
    deadlineMs,
  );
  return row?.row_count ?? 0;
}

/** The sale state of a SKU, by its first row; null for an unknown one. */
export async function readSale(
  connection: Connection,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<SaleState | null> {
  const [row] = await connection.rows<{ sale_state: SaleState['state']; sale_from: string | null }>(
    SALE,
    [bytesOf(sku_id)],
    deadlineMs,
  );
  return row === undefined ? null : { state: row.sale_state, from: row.sale_from };
}

/** @param transfers at least one */
export async function clearTransfers(
  transaction: Pick<Transaction, 'run'>,
  transfers: readonly Transfer[],
): Promise<void> {
  await transaction.run(SETTLE, [
    DIRECTION.out,
    transfers.map(({ sku_id, transfer_id }) => [bytesOf(sku_id), Buffer.from(transfer_id, 'hex')]),
  ]);
}

/** SKUs with unfinished work. @param staleMs for how long there must have been no progress on it */
export async function findUnfinished(
  connection: Connection,
  max: number,
  staleMs: number,
  deadlineMs: DeadlineMs,
): Promise<Buffer[]> {
  const staleUs = staleMs * 1_000;
  const rows = await connection.rows<{ sku_id: Buffer }>(UNTIDY, [staleUs, staleUs, staleUs, max], deadlineMs);
  return rows.map(({ sku_id }) => sku_id);
}
