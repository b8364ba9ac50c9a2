import { adjustmentKeyText, returnKeyText } from '../../core/ledger/ledger.ts';
import type { LedgerFlow, Reading } from '../../core/ledger/ledger.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { ShelfRow } from '../../core/ledger/shelf.ts';
import { flowKeyText } from '../../core/nouns.ts';
import { slotOf } from '../../core/slots.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import type { Transaction } from '../transaction.ts';
import { textOf } from './bytes.ts';
import { hexOf, jsonOf } from './json.ts';
import { quoted } from './quoted.ts';

/**
 * Everything that operations look at on one shard, as it stood at one moment: one statement sees one moment. Of each item the
 * stock row of its SKU, and what stands under the ids it names.
 */
const sqlFor = (schema: string): string => `
SELECT w.item, o.epoch IS NOT NULL AS is_mine,
       s.opening_amount, s.leaved_amount, s.held_amount,
       s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6)) AS is_on_sale,
       f.order_id, f.attempt, f.quantity, f.returned, f.status, r.quantity AS units_returned, a.delta
  FROM (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (
         item FOR ORDINALITY, slot SMALLINT UNSIGNED PATH '$[0]', sku_id VARCHAR(128) PATH '$[1]', order_detail_id VARCHAR(128) PATH '$[2]',
         return_id VARCHAR(128) PATH '$[3]', adjustment_id VARCHAR(128) PATH '$[4]')) AS j) AS w
  LEFT JOIN ${schema}.slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  LEFT JOIN ${schema}.flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
  LEFT JOIN ${schema}.flow_return r FORCE INDEX (PRIMARY)
    ON r.sku_id = UNHEX(w.sku_id) AND r.order_detail_id = UNHEX(w.order_detail_id) AND r.return_id = UNHEX(w.return_id)
  LEFT JOIN ${schema}.adjustment a FORCE INDEX (PRIMARY) ON a.sku_id = UNHEX(w.sku_id) AND a.adjustment_id = UNHEX(w.adjustment_id)
  LEFT JOIN ${schema}.stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0`;

interface Row {
  readonly item: number;
  readonly is_mine: number;
  readonly opening_amount: number | null;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly is_on_sale: number;
  readonly order_id: Buffer | null;
  readonly attempt: number;
  readonly quantity: number;
  readonly returned: number;
  readonly status: LedgerFlow['status'];
  readonly units_returned: number | null;
  readonly delta: number | null;
}

interface Item {
  readonly sku_id: string;
  readonly order_detail_id?: string;
  readonly return_id?: string;
  readonly adjustment_id?: string;
}

export interface LookedUp {
  readonly reading: Reading;
  /** SKUs whose slots are not this shard's. */
  readonly foreign: ReadonlySet<string>;
}

/** Operations of one shard, to be looked up. */
export interface Question {
  readonly schema: string;
  /** At least one. */
  readonly operations: readonly Batchable[];
}

/** Reads what some operations need to be decided, waiting under shared locks for everybody who is undecided about one of these rows. */
export async function lookUpLocked(transaction: Transaction, { schema, operations }: Question): Promise<LookedUp> {
  const items = operations.flatMap(itemsOf);
  return readingOf(items, await transaction.rows<Row>(`${textFor(schema)} LOCK IN SHARE MODE`, [jsonOf(items.map(itemValues))]));
}

/** Reads what the operations of some shards of one server need to be decided, in one round trip. @returns in their order */
export async function lookUp(connection: Connection, questions: readonly Question[], deadlineMs: DeadlineMs): Promise<LookedUp[]> {
  const items = questions.map(({ operations }) => operations.flatMap(itemsOf));
  const found = await connection.script(
    questions.map(({ schema }) => textFor(schema)),
    items.map((ofShard) => jsonOf(ofShard.map(itemValues))),
    deadlineMs,
  );
  return items.map((ofShard, index) => readingOf(ofShard, found[index] as Row[]));
}

const texts = new Map<string, string>();

function textFor(schema: string): string {
  const known = texts.get(schema);
  if (known !== undefined) return known;
  const text = sqlFor(quoted(schema));
  texts.set(schema, text);
  return text;
}

function readingOf(items: readonly Item[], rows: readonly Row[]): LookedUp {
  const flows = new Map<string, LedgerFlow | null>();
  const shelves = new Map<string, ShelfRow | null>();
  const returns = new Map<string, number | null>();
  const adjustments = new Map<string, number | null>();
  const foreign = new Set<string>();
  for (const row of rows) {
    const item = items[row.item - 1];
    if (item === undefined) throw new Error('the server made up an item');
    const { sku_id, order_detail_id, return_id, adjustment_id } = item;
    if (row.is_mine === 0) foreign.add(sku_id);
    shelves.set(sku_id, shelfOf(row));
    if (adjustment_id !== undefined) adjustments.set(adjustmentKeyText(sku_id, adjustment_id), row.delta);
    if (order_detail_id === undefined) continue;
    const key = { sku_id, order_detail_id };
    flows.set(flowKeyText(key), flowOf(key, row));
    if (return_id !== undefined) returns.set(returnKeyText(key, return_id), row.units_returned);
  }
  return { reading: { flows, shelves, returns, adjustments }, foreign };
}

function itemsOf(operation: Batchable): readonly Item[] {
  return 'lines' in operation ? operation.lines : [operation];
}

function itemValues({ sku_id, order_detail_id, return_id, adjustment_id }: Item): (string | number | null)[] {
  return [slotOf(sku_id), hex(sku_id), hex(order_detail_id), hex(return_id), hex(adjustment_id)];
}

function hex(id: string | undefined): string | null {
  return id === undefined ? null : hexOf(id);
}

function shelfOf({ opening_amount, leaved_amount, held_amount, is_on_sale }: Row): ShelfRow | null {
  return opening_amount === null ? null : { opening_amount, leaved_amount, held_amount, isOnSale: is_on_sale === 1 };
}

function flowOf(key: { readonly sku_id: string; readonly order_detail_id: string }, { order_id, attempt, quantity, returned, status }: Row): LedgerFlow | null {
  return order_id === null ? null : { ...key, order_id: textOf(order_id), attempt, quantity, returned, status };
}
