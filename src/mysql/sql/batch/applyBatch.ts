import type {
  Direction,
  LedgerFlow,
  NewAdjustment,
  NewRecord,
  NewReturn,
  NewTransfer,
  WriteSet,
} from '../../../core/ledger/ledger.ts';
import type { StockRowChange } from '../../../core/ledger/stockRowDraft.ts';
import type { DeadlineMs, WithTransaction } from '../../../core/types.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { CommitUnanswered, isBeforeCommit } from '../../connection/failures.ts';
import { stockRowOfKeyText } from '../../../core/types.ts';
import { bytesOf } from '../text/bytes.ts';
import { linesText } from '../carts/cartLines.ts';
import { FLOW_STATUS } from '../flows/insertFlows.ts';
import { hexOf, jsonOf } from '../text/json.ts';
import type { JsonCell, SqlJson } from '../text/json.ts';
import { LOCK_ERROR_MS } from '../session/prepareSession.ts';
import { quotedName } from '../text/quoted.ts';
import { SkuCells } from './skuCells.ts';
import { errorText } from '../../../core/text/errorText.ts';

/** One question mark for each parameter of the procedure. */
const MARKS = '?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?';

/** The row is on one of the shards; on the others it is not found. */
const LOCK_NOW = (schema: string): string =>
  `SELECT 1 FROM ${schema}.stock FORCE INDEX (PRIMARY) WHERE sku_id = ? AND sub_row = ? FOR UPDATE NOWAIT`;

/** The writes of a batch on one shard. */
export interface ShardWrites {
  readonly schema: string;
  readonly values: readonly SqlValue[];
}

/**
 * Writes all parts of a batch or none, in one round trip, and ends the transaction in both cases. The statements of a
 * shard are in `migrations/0011_order_records.ts`. Each part asserts the deadline after its last lock. So only COMMIT
 * can be later, because a backup may lock the server. It waits for `lock_wait_timeout` at most.
 *
 * @param parts at least one, in the same order in all batches. So batches do not wait for each other in a circle.
 * @param lockedRow a stock row to lock first, without a wait, as `stockRowKeyText`; null: none
 * @throws ServerError when nothing was written, CommitUnanswered when the batch may have been written
 */
export async function applyBatch(
  connection: Connection,
  parts: readonly ShardWrites[],
  deadlineMs: DeadlineMs,
  lockedRow: string | null = null,
): Promise<void> {
  const calls = parts.map(({ schema }) => `CALL ${quotedName(schema)}.apply_part_6(${MARKS})`);
  const locks = lockedRow === null ? [] : parts.map(({ schema }) => LOCK_NOW(quotedName(schema)));
  const before = ['START TRANSACTION', ...locks, ...calls];
  const key = lockedRow === null ? null : stockRowOfKeyText(lockedRow);
  try {
    await connection.script(
      [...before, 'COMMIT'],
      [...locks.flatMap(() => (key === null ? [] : [bytesOf(key.sku_id), key.sub_row])), ...parts.flatMap(valuesOf)],
      deadlineMs,
      LOCK_ERROR_MS,
    );
  } catch (error) {
    // The procedure rolls back by itself. A statement before it leaves the transaction open.
    if (locks.length > 0 && !connection.isLost) await rollBack(connection, deadlineMs);
    if (isBeforeCommit(error, before.length)) throw error;
    throw new CommitUnanswered(errorText(error));
  }
}

/** Ends the transaction, or closes the connection when that fails. The outcome of the batch stays the same. */
async function rollBack(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  try {
    await connection.run('ROLLBACK', [], deadlineMs);
  } catch {
    connection.destroy();
  }
}

function valuesOf({ values }: ShardWrites): readonly SqlValue[] {
  return values;
}

/**
 * The values for the question marks of one part.
 *
 * @param deadline by the clock of the shard, as `2026-11-20 10:00:00.000000`; at most 5 s ahead
 * @param sku_ids SKUs whose slots the shard must own: those of all decided operations, also of reads
 */
export function partValues(deadline: string, sku_ids: Iterable<string>, writes: WriteSet): SqlValue[] {
  const cells = new SkuCells();
  const { added, changed, undone, held } = flowRows(writes, cells);
  const unheld = writes.completedHolds.map((hold): JsonRow => [
    ...[cells.of(hold.sku_id).hex, hexOf(hold.order_detail_id), hexOf(hold.order_id), hold.attempt],
    ...transactionCells(hold),
  ]);
  const slots = new Set<number>();
  for (const sku_id of sku_ids) slots.add(cells.of(sku_id).slot);
  return [
    Buffer.from(deadline, 'latin1'),
    slots.size === 0 ? null : jsonOf([...slots].sort((a, b) => a - b)),
    ...[added, changed, undone].map((rows) => sorted(rows, 2)),
    sorted(writes.records.map(recordValues), 1),
    sorted(
      writes.returns.map((entry) => [cells.of(entry.sku_id).hex, ...returnValues(entry)]),
      3,
    ),
    sorted(
      writes.adjustments.map((entry) => [cells.of(entry.sku_id).hex, ...adjustmentValues(entry)]),
      2,
    ),
    sorted(
      writes.transfers.map((entry) => [cells.of(entry.transfer.sku_id).hex, ...transferValues(entry)]),
      3,
    ),
    ...[held, unheld].map((rows) => sorted(rows, 2)),
    sorted(
      writes.stockRows.map((change) => stockRowValues(cells.of(change.sku_id).hex, change)),
      2,
    ),
    Number(writes.stockRows.some(({ bringsNew }) => bringsNew)),
  ];
}

type JsonRow = readonly JsonCell[];

/** The rows of flows to insert, to change and to delete, and those of new holds. */
function flowRows(
  { flows }: WriteSet,
  cells: SkuCells,
): Readonly<Record<'added' | 'changed' | 'undone' | 'held', JsonRow[]>> {
  const rows = { added: [] as JsonRow[], changed: [] as JsonRow[], undone: [] as JsonRow[], held: [] as JsonRow[] };
  for (const { was, is } of flows) {
    if (is === null) {
      if (was !== null) rows.undone.push([cells.of(was.sku_id).hex, hexOf(was.order_detail_id), ...undoneValues(was)]);
      continue;
    }
    const key = [cells.of(is.sku_id).hex, hexOf(is.order_detail_id)] as const;
    const order_id = hexOf(is.order_id);
    if (was === null) rows.added.push(newFlowValues(key, order_id, is));
    else rows.changed.push([...key, ...changeValues(was, is)]);
    if (is.status === 'pending' && (was?.status !== 'pending' || isOfAnother(was, is)))
      rows.held.push([...key, order_id, is.attempt, ...transactionCells(is)]);
  }
  return rows;
}

/** One literal: most of the rows of a batch are these, and arrays that are put together cost several times as much. */
function newFlowValues(
  [sku_id, order_detail_id]: readonly [string, string],
  order_id: string,
  { quantity, attempt, status, returned, sub_row, transaction }: LedgerFlow,
): JsonRow {
  const transaction_id = transaction?.transaction_id ?? null;
  const coordinator = transaction?.coordinator ?? null;
  // prettier-ignore
  return [
    sku_id, order_detail_id, order_id, quantity, attempt, FLOW_STATUS[status], returned, sub_row,
    transaction_id, coordinator,
  ];
}

function returnValues({ order_detail_id, return_id, quantity }: NewReturn): JsonRow {
  return [hexOf(order_detail_id), hexOf(return_id), quantity];
}

function adjustmentValues({ adjustment_id, delta, reason }: NewAdjustment): JsonRow {
  return [hexOf(adjustment_id), delta, reason === null ? null : hexOf(reason)];
}

function changeValues(was: LedgerFlow, is: LedgerFlow): JsonRow {
  const isNew =
    (was.status === 'void' || isOfAnother(was, is)) && (is.status === 'deducted' || is.status === 'pending');
  return [
    ...[hexOf(was.order_id), was.attempt, was.quantity, was.returned, FLOW_STATUS[was.status]],
    ...[hexOf(is.order_id), is.attempt, is.quantity, is.returned, FLOW_STATUS[is.status], Number(isNew), is.sub_row],
    ...[was.transaction?.transaction_id ?? null, ...transactionCells(is)],
  ];
}

function undoneValues({ quantity, transaction }: LedgerFlow): JsonRow {
  return [quantity, transaction?.transaction_id ?? null];
}

function recordValues({ transaction_id, order_id, lines }: NewRecord): JsonRow {
  return [transaction_id, hexOf(order_id), linesText(lines).toString('hex')];
}

const NO_TRANSACTION: JsonRow = [null, null];

function transactionCells({ transaction }: WithTransaction): JsonRow {
  return transaction === undefined ? NO_TRANSACTION : [transaction.transaction_id, transaction.coordinator];
}

/** An undone hold and the hold of the next attempt may be in one batch. */
function isOfAnother(was: LedgerFlow, is: LedgerFlow): boolean {
  return (
    was.order_id !== is.order_id ||
    was.attempt !== is.attempt ||
    was.transaction?.transaction_id !== is.transaction?.transaction_id
  );
}

/** The numbers of the words in the column's type. */
export const DIRECTION: Readonly<Record<Direction, number>> = { out: 1, in: 2 };

function transferValues({ direction, transfer: { transfer_id, amount, from, to } }: NewTransfer): JsonRow {
  const [here, there] = direction === 'out' ? [from, to] : [to, from];
  return [transfer_id, DIRECTION[direction], here.sub_row, amount, there.shard, there.sub_row];
}

function stockRowValues(sku_id: string, change: StockRowChange): JsonRow {
  const { sub_row, leaved, held, leavedMin, totalMax, mustBeOnSale, epoch, bringsNew, mustBeSellable } = change;
  // prettier-ignore
  return [
    sku_id, sub_row, Math.max(0, leaved), Math.max(0, -leaved), Math.max(0, held), Math.max(0, -held),
    leavedMin, totalMax, Number(mustBeOnSale), epoch, Number(bringsNew), Number(mustBeSellable),
  ];
}

/**
 * In the order in which rows are locked: digits sort as their bytes do.
 *
 * @param keys how many of the first cells are the row's key
 * @returns null for an empty list: the procedure skips that step
 */
function sorted(rows: JsonRow[], keys: number): SqlJson | null {
  if (rows.length === 0) return null;
  return jsonOf(rows.sort((a, b) => compareCells(a, b, keys)));
}

function compareCells(a: JsonRow, b: JsonRow, keys: number): number {
  for (let place = 0; place < keys; place += 1) {
    const [ofA, ofB] = [a[place] ?? '', b[place] ?? ''];
    if (ofA !== ofB) return ofA < ofB ? -1 : 1;
  }
  return 0;
}
