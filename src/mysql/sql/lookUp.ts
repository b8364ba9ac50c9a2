import { adjustmentKeyText, returnKeyText } from '../../core/ledger/ledger.ts';
import type { LedgerFlow, Reading } from '../../core/ledger/ledger.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { ShelfRow } from '../../core/ledger/shelf.ts';
import { flowKeyText } from '../../core/nouns.ts';
import { slotOf } from '../../core/slots.ts';
import type { Transaction } from '../transaction.ts';
import { textOf } from './bytes.ts';
import { hexOf, jsonOf } from './json.ts';

/**
 * Everything that operations look at, as it stood at one moment: one statement sees one moment. Of each item the stock
 * row of its SKU, and what stands under the ids it names.
 */
const SQL = `
SELECT w.item, o.epoch IS NOT NULL AS is_mine,
       s.opening_amount, s.leaved_amount, s.held_amount,
       s.sale_state = 'on' AND (s.sale_from IS NULL OR s.sale_from <= SYSDATE(6)) AS is_on_sale,
       f.order_id, f.attempt, f.quantity, f.returned, f.status, r.quantity AS units_returned, a.delta
  FROM (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (
         item FOR ORDINALITY, slot SMALLINT UNSIGNED PATH '$[0]', sku_id VARCHAR(128) PATH '$[1]', order_detail_id VARCHAR(128) PATH '$[2]',
         return_id VARCHAR(128) PATH '$[3]', adjustment_id VARCHAR(128) PATH '$[4]')) AS j) AS w
  LEFT JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  LEFT JOIN flow f FORCE INDEX (PRIMARY) ON f.sku_id = UNHEX(w.sku_id) AND f.order_detail_id = UNHEX(w.order_detail_id)
  LEFT JOIN flow_return r FORCE INDEX (PRIMARY)
    ON r.sku_id = UNHEX(w.sku_id) AND r.order_detail_id = UNHEX(w.order_detail_id) AND r.return_id = UNHEX(w.return_id)
  LEFT JOIN adjustment a FORCE INDEX (PRIMARY) ON a.sku_id = UNHEX(w.sku_id) AND a.adjustment_id = UNHEX(w.adjustment_id)
  LEFT JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id) AND s.sub_row = 0`;

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

/**
 * Reads what some operations need to be decided.
 *
 * @param lock waits, under shared locks, for every transaction that is undecided about one of these rows
 * @param operations at least one
 */
export async function lookUp(from: Pick<Transaction, 'rows'>, operations: readonly Batchable[], lock = false): Promise<LookedUp> {
  const items = operations.flatMap(itemsOf);
  const rows = await from.rows<Row>(lock ? `${SQL} LOCK IN SHARE MODE` : SQL, [jsonOf(items.map(itemValues))]);
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
