import { adjustmentKeyText, returnKeyText, transferKeyText } from '../../../core/ledger/ledger.ts';
import type { Direction, LedgerFlow, LedgerRows } from '../../../core/ledger/ledger.ts';
import type { BatchOperation } from '../../../core/ledger/decide.ts';
import type { LedgerStockRow } from '../../../core/ledger/stockRowDraft.ts';
import { flowKeyText, stockRowKeyText } from '../../../core/types.ts';
import type { CommitDecision, DeadlineMs, FlowKey, Transfer } from '../../../core/types.ts';
import { stockRowKeysOf, skusOf } from '../../../core/operation.ts';
import type { Adjust } from '../../../core/operation.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { DIRECTION } from './applyBatch.ts';
import { textOf } from '../text/bytes.ts';
import { transactionOf } from '../carts/transactionColumns.ts';
import { hexOf, jsonOf } from '../text/json.ts';
import type { JsonCell, SqlJson } from '../text/json.ts';
import { ADJUSTMENTS, FLOWS, RECORDS, STOCK_ROWS, TOTALS, TRANSFERS } from './lookUpStatements.ts';
import { LOCK_ERROR_MS } from '../session/prepareSession.ts';
import { quotedName } from '../text/quoted.ts';
import { SkuCells } from './skuCells.ts';

/** A flow, a record, an adjustment, one end of a transfer, a SKU's total, or a SKU with one of its stock rows here. */
interface Row {
  readonly item: number;
  readonly kind: 'flow' | 'record' | 'adjustment' | 'transfer' | 'total' | 'stock row';
  readonly order_id: Buffer;
  readonly attempt: number;
  readonly quantity: number;
  readonly returned: number;
  /** Of a record: its state. */
  readonly status: LedgerFlow['status'] | CommitDecision;
  readonly moved_to: number | null;
  readonly transaction_id: Buffer | null;
  readonly coordinator: number | null;
  readonly units_returned: number | null;
  readonly delta: number;
  readonly is_mine: number;
  readonly sub_row: number;
  readonly leaved_amount: number | null;
  readonly held_amount: number;
  readonly row_epoch: number;
  readonly is_open: number;
  readonly is_on_sale: number;
  readonly is_sellable: number;
  readonly total: string;
}

export interface LookedUp {
  readonly reading: LedgerRows;
  /** SKUs whose slots this shard does not own. */
  readonly wrongShard: ReadonlySet<string>;
}

/** Operations of one shard whose rows are to be read. */
export interface RowsQuery {
  readonly schema: string;
  readonly operations: readonly BatchOperation[];
  /** Operations for which only the rows of their ids are read. At least one operation in both lists together. */
  readonly idsOnly?: readonly BatchOperation[];
}

/**
 * Reads the rows that some operations need for their decisions. Under shared locks it waits for every transaction that
 * is undecided about the rows of their ids. It does not wait for stock rows: the ids alone show the outcome of an
 * operation.
 */
export async function lookUpLocked(transaction: Transaction, question: RowsQuery): Promise<LookedUp> {
  const wanted = wantedBy(question);
  return readingOf(
    wanted,
    await transaction.rows<Row>(
      textFor(question.schema, wanted, ' LOCK IN SHARE MODE'),
      valuesFor(wanted),
      LOCK_ERROR_MS,
    ),
  );
}

/**
 * Reads the rows that operations of some shards of one server need for their decisions, in one round trip.
 *
 * @returns the readings in the order of the questions
 */
export async function lookUp(
  connection: Connection,
  questions: readonly RowsQuery[],
  deadlineMs: DeadlineMs,
): Promise<LookedUp[]> {
  const wanted = questions.map(wantedBy);
  const texts = questions.map(({ schema }, index) => textFor(schema, wanted[index] ?? NOTHING, ''));
  const found = await connection.reads(texts, wanted.flatMap(valuesFor), deadlineMs);
  return wanted.map((each, index) => readingOf(each, found[index] as Row[]));
}

/** The rows to read on one shard. */
interface Wanted {
  readonly flows: readonly (FlowKey & { readonly return_id?: string })[];
  /** Transaction ids of records. */
  readonly records: readonly string[];
  readonly adjustments: readonly Adjust[];
  readonly transfers: readonly TransferEnd[];
  readonly sku_ids: readonly string[];
  /** SKUs of restocks. */
  readonly restocked: readonly string[];
  /** The stock rows that are named, as `stockRowKeyText`. */
  readonly stockRows: readonly string[];
}

/** One end of a transfer. */
interface TransferEnd {
  readonly direction: Direction;
  readonly transfer: Transfer;
}

const NOTHING: Wanted = {
  ...{ flows: [], records: [], adjustments: [], transfers: [] },
  ...{ sku_ids: [], restocked: [], stockRows: [] },
};

function wantedBy({ operations, idsOnly = [] }: RowsQuery): Wanted {
  const flows: Wanted['flows'][number][] = [];
  const records: string[] = [];
  const adjustments: Adjust[] = [];
  const transfers: TransferEnd[] = [];
  const sku_ids = new Set<string>();
  const restocked = new Set<string>();
  const stockRows: string[] = [];
  const addIds = (operation: BatchOperation): void => {
    if ('lines' in operation) for (const line of operation.lines) flows.push(line);
    else if (operation.kind === 'return') flows.push(operation);
    else if (operation.kind === 'adjust') adjustments.push(operation);
    else transfers.push({ direction: operation.kind === 'send' ? 'out' : 'in', transfer: operation });
    if (operation.kind === 'deduct' && operation.record !== undefined && operation.transaction !== undefined)
      records.push(operation.transaction.transaction_id);
    if ('credits' in operation)
      for (const transfer of operation.credits ?? []) transfers.push({ direction: 'in', transfer });
  };
  for (const operation of operations) {
    addIds(operation);
    for (const sku_id of skusOf(operation)) sku_ids.add(sku_id);
    if (operation.kind === 'adjust' && operation.delta > 0) restocked.add(operation.sku_id);
    stockRows.push(...stockRowKeysOf(operation));
  }
  for (const operation of idsOnly) addIds(operation);
  return { flows, records, adjustments, transfers, sku_ids: [...sku_ids], restocked: [...restocked], stockRows };
}

/**
 * One statement, because one statement reads one moment. Rows that do not exist are not returned, except for SKUs.
 *
 * @param lock for the rows of ids
 */
function textFor(schema: string, wanted: Wanted, lock: string): string {
  const blocks = LISTS.flatMap(({ list, block }) => (wanted[list].length > 0 ? [block] : []));
  const lockOf = (block: (of: string) => string): string => (block === STOCK_ROWS || block === TOTALS ? '' : lock);
  return blocks.map((block) => `(${block(quotedName(schema))}${lockOf(block)})`).join(' UNION ALL ');
}

/** The lists of rows to read, in the order of the statement. */
const LISTS = [
  { list: 'flows', block: FLOWS },
  { list: 'records', block: RECORDS },
  { list: 'adjustments', block: ADJUSTMENTS },
  { list: 'transfers', block: TRANSFERS },
  { list: 'sku_ids', block: STOCK_ROWS },
  { list: 'restocked', block: TOTALS },
] as const;

function valuesFor({ flows, records, adjustments, transfers, sku_ids, restocked }: Wanted): SqlJson[] {
  const cells = new SkuCells();
  const flowCells = ({ sku_id, order_detail_id, return_id }: Wanted['flows'][number]): JsonCell[] => {
    const { hex, slot } = cells.of(sku_id);
    return [hex, hexOf(order_detail_id), return_id === undefined ? null : hexOf(return_id), slot];
  };
  const stockCells = (sku_id: string): JsonCell[] => {
    const { hex, slot } = cells.of(sku_id);
    return [slot, hex];
  };
  const adjustmentCells = ({ sku_id, adjustment_id }: Adjust): JsonCell[] => [
    cells.of(sku_id).hex,
    hexOf(adjustment_id),
  ];
  const transferCells = ({ direction, transfer }: TransferEnd): JsonCell[] => [
    cells.of(transfer.sku_id).hex,
    transfer.transfer_id,
    DIRECTION[direction],
  ];
  const totalCells = (sku_id: string): JsonCell[] => [cells.of(sku_id).hex];
  const lists = [
    ...[flows.map(flowCells), records.map((transaction_id): JsonCell[] => [transaction_id])],
    ...[adjustments.map(adjustmentCells), transfers.map(transferCells)],
    ...[sku_ids.map(stockCells), restocked.map(totalCells)],
  ];
  return lists.filter((list) => list.length > 0).map(jsonOf);
}

function readingOf(wanted: Wanted, rows: readonly Row[]): LookedUp {
  const flows = new Map<string, LedgerFlow | null>();
  const returns = new Map<string, number | null>();
  for (const key of wanted.flows) {
    flows.set(flowKeyText(key), null);
    if (key.return_id !== undefined) returns.set(returnKeyText(key, key.return_id), null);
  }
  const records = new Map<string, CommitDecision | null>(wanted.records.map((id) => [id, null]));
  const adjustments = new Map<string, number | null>(
    wanted.adjustments.map((each) => [adjustmentKeyText(each.sku_id, each.adjustment_id), null]),
  );
  const transfers = new Map(
    wanted.transfers.map(({ direction, transfer }) => [transferKeyText(direction, transfer), false]),
  );
  const stockRows = new Map<string, LedgerStockRow | null>(wanted.stockRows.map((key) => [key, null]));
  const totals = new Map<string, bigint>();
  const foreign = new Set<string>();
  for (const row of rows) {
    if (row.kind === 'flow') {
      const key = at(wanted.flows, row);
      if (row.is_mine === 0) foreign.add(key.sku_id);
      flows.set(flowKeyText(key), flowOf(key, row));
      if (key.return_id !== undefined) returns.set(returnKeyText(key, key.return_id), row.units_returned);
    } else if (row.kind === 'record') {
      records.set(at(wanted.records, row), row.status === 'committed' ? 'committed' : 'aborted');
    } else if (row.kind === 'adjustment') {
      const { sku_id, adjustment_id } = at(wanted.adjustments, row);
      adjustments.set(adjustmentKeyText(sku_id, adjustment_id), row.delta);
    } else if (row.kind === 'transfer') {
      const { direction, transfer } = at(wanted.transfers, row);
      transfers.set(transferKeyText(direction, transfer), true);
    } else if (row.kind === 'total') {
      totals.set(at(wanted.restocked, row), BigInt(row.total));
    } else {
      const sku_id = at(wanted.sku_ids, row);
      if (row.is_mine === 0) foreign.add(sku_id);
      if (row.leaved_amount !== null)
        stockRows.set(stockRowKeyText(sku_id, row.sub_row), stockRowOf(row.leaved_amount, row));
    }
  }
  return { reading: { flows, stockRows, returns, adjustments, transfers, totals, records }, wrongShard: foreign };
}

function at<T>(items: readonly T[], { item }: Row): T {
  const found = items[item - 1];
  if (found === undefined) throw new Error('the server returned an item that was not asked for');
  return found;
}

function stockRowOf(
  leaved_amount: number,
  { held_amount, row_epoch, is_open, is_on_sale, is_sellable }: Row,
): LedgerStockRow {
  return {
    leaved_amount,
    held_amount,
    epoch: row_epoch,
    isOpen: is_open === 1,
    isOnSale: is_on_sale === 1,
    isSellable: is_sellable === 1,
  };
}

function flowOf(
  { sku_id, order_detail_id }: FlowKey,
  { order_id, attempt, quantity, returned, status, sub_row, moved_to, transaction_id, coordinator }: Row,
): LedgerFlow {
  const flow = {
    ...{ sku_id, order_detail_id, order_id: textOf(order_id), attempt, quantity, returned },
    ...{ status: status as LedgerFlow['status'], sub_row, moved_to },
  };
  return { ...flow, ...transactionOf({ transaction_id, coordinator }) };
}
