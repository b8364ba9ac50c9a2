import { adjustmentKeyText, returnKeyText, transferKeyText } from '../../core/ledger/ledger.ts';
import type { Direction, LedgerFlow, Reading } from '../../core/ledger/ledger.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { ShelfRow } from '../../core/ledger/shelf.ts';
import { flowKeyText, shelfKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, FlowKey, Transfer } from '../../core/nouns.ts';
import { shelvesOf, skusOf } from '../../core/operation.ts';
import type { Adjust } from '../../core/operation.ts';
import type { Connection } from '../connection.ts';
import type { Transaction } from '../transaction.ts';
import { DIRECTION } from './applyBatch.ts';
import { textOf } from './bytes.ts';
import { hexOf, jsonOf } from './json.ts';
import type { JsonCell, SqlJson } from './json.ts';
import { LOCK_SAID_MS } from './prepareSession.ts';
import { quoted } from './quoted.ts';
import { isSellable } from './sellable.ts';
import { SkuCells } from './skuCells.ts';
import { totalOf } from './stockTotal.ts';

/**
 * Rows of a list as a table. Derived once more, because MySQL takes no locking clause over a JSON_TABLE itself (error 3569).
 *
 * @param columns after the number of the row
 */
const table = (columns: string): string =>
  `(SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (item FOR ORDINALITY, ${columns})) AS j) AS w`;

/** A bare NULL takes the type of neither side on MariaDB, and numbers come as texts. */
const NO_COUNT = 'CAST(NULL AS UNSIGNED)';
const NO_INTEGER = 'CAST(NULL AS SIGNED)';
const NO_TOTAL = 'NULL AS total';
const NO_FLOW = `NULL AS order_id, ${NO_COUNT} AS attempt, ${NO_COUNT} AS quantity, ${NO_COUNT} AS returned, NULL AS status, ${NO_COUNT} AS moved_to, ${NO_COUNT} AS units_returned`;
const NO_ROW = `${NO_COUNT} AS sub_row, ${NO_COUNT} AS leaved_amount, ${NO_COUNT} AS held_amount, ${NO_COUNT} AS row_epoch, 0 AS is_open, 0 AS is_on_sale, 0 AS is_sellable`;
const NO_SHELF = `${NO_ROW}, ${NO_TOTAL}`;

const FLOWS = (schema: string): string => `
SELECT w.item, 'flow' AS kind, f.order_id, f.attempt, f.quantity, f.returned, f.status, f.moved_to, r.quantity AS units_returned,
       ${NO_INTEGER} AS delta, o.epoch IS NOT NULL AS is_mine, f.sub_row, ${NO_COUNT} AS leaved_amount, ${NO_COUNT} AS held_amount,
       ${NO_COUNT} AS row_epoch, 0 AS is_open, 0 AS is_on_sale, 0 AS is_sellable, ${NO_TOTAL}
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]', order_detail_id VARCHAR(128) PATH '$[1]', return_id VARCHAR(128) PATH '$[2]', slot SMALLINT UNSIGNED PATH '$[3]'")}
  LEFT JOIN ${schema}.slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  STRAIGHT_JOIN ${schema}.flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
  LEFT JOIN ${schema}.flow_return r FORCE INDEX (PRIMARY)
    ON r.sku_id = UNHEX(w.sku_id) AND r.order_detail_id = UNHEX(w.order_detail_id) AND r.return_id = UNHEX(w.return_id)`;

const ADJUSTMENTS = (schema: string): string => `
SELECT w.item, 'adjustment' AS kind, ${NO_FLOW}, a.delta, 0 AS is_mine, ${NO_SHELF}
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]', adjustment_id VARCHAR(128) PATH '$[1]'")}
  STRAIGHT_JOIN ${schema}.adjustment a FORCE INDEX (PRIMARY) ON a.sku_id = UNHEX(w.sku_id) AND a.adjustment_id = UNHEX(w.adjustment_id)`;

const TRANSFERS = (schema: string): string => `
SELECT w.item, 'transfer' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, 0 AS is_mine, ${NO_SHELF}
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]', transfer_id VARCHAR(32) PATH '$[1]', direction SMALLINT UNSIGNED PATH '$[2]'")}
  STRAIGHT_JOIN ${schema}.transfer t FORCE INDEX (PRIMARY) ON t.sku_id = UNHEX(w.sku_id) AND t.transfer_id = UNHEX(w.transfer_id) AND t.direction + 0 = w.direction`;

/** As text: a sum is a DECIMAL, and may be above what a number holds. Waits for no lock: the shard asserts the limit. */
const TOTALS = (schema: string): string => `
SELECT w.item, 'total' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, 0 AS is_mine, ${NO_ROW},
       CAST(${totalOf('s', `${schema}.adjustment`)} AS CHAR) AS total
  FROM ${table("sku_id VARCHAR(128) PATH '$[0]'")}
  STRAIGHT_JOIN ${schema}.stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0`;

/** All rows of a SKU that lie here: which of them its flows belong to shows only when they are read. */
const SHELVES = (schema: string): string => `
SELECT w.item, 'shelf' AS kind, ${NO_FLOW}, ${NO_INTEGER} AS delta, o.epoch IS NOT NULL AS is_mine, s.sub_row, s.leaved_amount, s.held_amount,
       CAST(IF(s.intake = 'any', 0, s.epoch) AS UNSIGNED) AS row_epoch, s.intake <> 'none' AS is_open, s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6)) AS is_on_sale, ${isSellable('s')} AS is_sellable, ${NO_TOTAL}
  FROM ${table("slot SMALLINT UNSIGNED PATH '$[0]', sku_id VARCHAR(128) PATH '$[1]'")}
  LEFT JOIN ${schema}.slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  LEFT JOIN ${schema}.stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id)`;

/** A flow, an adjustment, one end of a transfer, a SKU's total, or a SKU with one of its stock rows here, if any. */
interface Row {
  readonly item: number;
  readonly kind: 'flow' | 'adjustment' | 'transfer' | 'total' | 'shelf';
  readonly order_id: Buffer;
  readonly attempt: number;
  readonly quantity: number;
  readonly returned: number;
  readonly status: LedgerFlow['status'];
  readonly moved_to: number | null;
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
  readonly reading: Reading;
  /** SKUs whose slots are not this shard's. */
  readonly foreign: ReadonlySet<string>;
}

/** Operations of one shard, to be looked up. */
export interface Question {
  readonly schema: string;
  readonly operations: readonly Batchable[];
  /** Operations of which only what stands under their ids is read. At least one of these or those. */
  readonly idsOnly?: readonly Batchable[];
}

/**
 * Reads what some operations need to be decided, waiting under shared locks for everybody who is undecided about what stands
 * under their ids. Stock rows are not waited for: what became of an operation its ids tell.
 */
export async function lookUpLocked(transaction: Transaction, question: Question): Promise<LookedUp> {
  const wanted = wantedBy(question);
  return readingOf(
    wanted,
    await transaction.rows<Row>(
      textFor(question.schema, wanted, ' LOCK IN SHARE MODE'),
      valuesFor(wanted),
      LOCK_SAID_MS,
    ),
  );
}

/** Reads what the operations of some shards of one server need to be decided, in one round trip. @returns in their order */
export async function lookUp(
  connection: Connection,
  questions: readonly Question[],
  deadlineMs: DeadlineMs,
): Promise<LookedUp[]> {
  const wanted = questions.map(wantedBy);
  const texts = questions.map(({ schema }, index) => textFor(schema, wanted[index] ?? NOTHING, ''));
  const found = await connection.reads(texts, wanted.flatMap(valuesFor), deadlineMs);
  return wanted.map((each, index) => readingOf(each, found[index] as Row[]));
}

/** What is looked for on one shard. */
interface Wanted {
  readonly flows: readonly (FlowKey & { readonly return_id?: string })[];
  readonly adjustments: readonly Adjust[];
  readonly transfers: readonly Sought[];
  readonly sku_ids: readonly string[];
  /** SKUs that are to be restocked. */
  readonly restocked: readonly string[];
  /** Rows that are asked for by name, as `shelfKeyText`. */
  readonly shelves: readonly string[];
}

/** One end of a transfer. */
interface Sought {
  readonly direction: Direction;
  readonly transfer: Transfer;
}

const NOTHING: Wanted = { flows: [], adjustments: [], transfers: [], sku_ids: [], restocked: [], shelves: [] };

function wantedBy({ operations, idsOnly = [] }: Question): Wanted {
  const flows: Wanted['flows'][number][] = [];
  const adjustments: Adjust[] = [];
  const transfers: Sought[] = [];
  const sku_ids = new Set<string>();
  const restocked = new Set<string>();
  const shelves: string[] = [];
  const askForIds = (operation: Batchable): void => {
    if ('lines' in operation) for (const line of operation.lines) flows.push(line);
    else if (operation.kind === 'return') flows.push(operation);
    else if (operation.kind === 'adjust') adjustments.push(operation);
    else transfers.push({ direction: operation.kind === 'send' ? 'out' : 'in', transfer: operation });
    if ('credits' in operation)
      for (const transfer of operation.credits ?? []) transfers.push({ direction: 'in', transfer });
  };
  for (const operation of operations) {
    askForIds(operation);
    for (const sku_id of skusOf(operation)) sku_ids.add(sku_id);
    if (operation.kind === 'adjust' && operation.delta > 0) restocked.add(operation.sku_id);
    shelves.push(...shelvesOf(operation));
  }
  for (const operation of idsOnly) askForIds(operation);
  return { flows, adjustments, transfers, sku_ids: [...sku_ids], restocked: [...restocked], shelves };
}

/**
 * One statement, because one statement sees one moment. What is not there makes no row, but for SKUs.
 *
 * @param lock of what stands under ids
 */
function textFor(schema: string, { flows, adjustments, transfers, sku_ids, restocked }: Wanted, lock: string): string {
  const blocks = [
    ...[...(flows.length > 0 ? [FLOWS] : []), ...(adjustments.length > 0 ? [ADJUSTMENTS] : [])],
    ...[...(transfers.length > 0 ? [TRANSFERS] : []), ...(sku_ids.length > 0 ? [SHELVES] : [])],
    ...(restocked.length > 0 ? [TOTALS] : []),
  ];
  const lockOf = (block: (of: string) => string): string => (block === SHELVES || block === TOTALS ? '' : lock);
  return blocks.map((block) => `(${block(quoted(schema))}${lockOf(block)})`).join(' UNION ALL ');
}

function valuesFor({ flows, adjustments, transfers, sku_ids, restocked }: Wanted): SqlJson[] {
  const cells = new SkuCells();
  const flowCells = ({ sku_id, order_detail_id, return_id }: Wanted['flows'][number]): JsonCell[] => {
    const { hex, slot } = cells.of(sku_id);
    return [hex, hexOf(order_detail_id), return_id === undefined ? null : hexOf(return_id), slot];
  };
  const shelfCells = (sku_id: string): JsonCell[] => {
    const { hex, slot } = cells.of(sku_id);
    return [slot, hex];
  };
  const adjustmentCells = ({ sku_id, adjustment_id }: Adjust): JsonCell[] => [
    cells.of(sku_id).hex,
    hexOf(adjustment_id),
  ];
  const transferCells = ({ direction, transfer }: Sought): JsonCell[] => [
    cells.of(transfer.sku_id).hex,
    transfer.transfer_id,
    DIRECTION[direction],
  ];
  const totalCells = (sku_id: string): JsonCell[] => [cells.of(sku_id).hex];
  const lists = [
    ...[flows.map(flowCells), adjustments.map(adjustmentCells), transfers.map(transferCells)],
    ...[sku_ids.map(shelfCells), restocked.map(totalCells)],
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
  const adjustments = new Map<string, number | null>(
    wanted.adjustments.map((each) => [adjustmentKeyText(each.sku_id, each.adjustment_id), null]),
  );
  const transfers = new Map(
    wanted.transfers.map(({ direction, transfer }) => [transferKeyText(direction, transfer), false]),
  );
  const shelves = new Map<string, ShelfRow | null>(wanted.shelves.map((key) => [key, null]));
  const totals = new Map<string, bigint>();
  const foreign = new Set<string>();
  for (const row of rows) {
    if (row.kind === 'flow') {
      const key = at(wanted.flows, row);
      if (row.is_mine === 0) foreign.add(key.sku_id);
      flows.set(flowKeyText(key), flowOf(key, row));
      if (key.return_id !== undefined) returns.set(returnKeyText(key, key.return_id), row.units_returned);
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
      if (row.leaved_amount !== null) shelves.set(shelfKeyText(sku_id, row.sub_row), shelfOf(row.leaved_amount, row));
    }
  }
  return { reading: { flows, shelves, returns, adjustments, transfers, totals }, foreign };
}

function at<T>(items: readonly T[], { item }: Row): T {
  const found = items[item - 1];
  if (found === undefined) throw new Error('the server made up an item');
  return found;
}

function shelfOf(leaved_amount: number, { held_amount, row_epoch, is_open, is_on_sale, is_sellable }: Row): ShelfRow {
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
  { order_id, attempt, quantity, returned, status, sub_row, moved_to }: Row,
): LedgerFlow {
  return {
    sku_id,
    order_detail_id,
    order_id: textOf(order_id),
    attempt,
    quantity,
    returned,
    status,
    sub_row,
    moved_to,
  };
}
