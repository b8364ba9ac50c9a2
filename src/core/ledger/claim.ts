import type { CartKey, Hold, Line } from '../nouns.ts';
import type { Deduct, HoldLines } from '../operation.ts';
import { refusedLines } from '../outcome.ts';
import type { DeductedLine, Held, Deducted, NotDone, Pending, Refused, RefusedLine } from '../outcome.ts';
import { judgeStanding } from '../standing.ts';
import type { Standing } from '../standing.ts';
import type { Ledger, LedgerFlow } from './ledger.ts';

/** What was decided before in this batch stands in the way, and is not written yet: to be decided again when it is. */
export interface Deferred {
  readonly is: 'deferred';
}

/** Only units that carts hold are lacking; who holds them is still to be read. */
export interface Lacking {
  readonly is: 'lacking';
  readonly sku_ids: readonly string[];
}

export const DEFERRED: Deferred = { is: 'deferred' };

interface Judged {
  readonly line: Line;
  readonly flow: LedgerFlow | null;
  readonly verdict: Standing | 'new';
}

/** Decides a deduction, or a hold for a cart; enters it in the ledger when nothing stands in the way. */
export function claim(ledger: Ledger, operation: Deduct | HoldLines): Deducted | Held | Refused | Pending | NotDone | Deferred | Lacking {
  const isHold = operation.kind === 'hold';
  const cart: CartKey = { order_id: operation.order_id, attempt: isHold ? operation.attempt : 0 };
  const judged: Judged[] = [];
  for (const line of operation.lines) {
    const flow = ledger.flow(line);
    judged.push({ line, flow, verdict: flow === null ? 'new' : judgeStanding(cart, line, flow) });
  }
  const fresh = judged.every(isFresh) ? operation.lines : judged.filter(isFresh).map(({ line }) => line);
  const wanted = unitsOf(fresh);
  const obstacle = isClear(ledger, judged, wanted) ? null : findObstacle(ledger, judged, wanted);
  if (obstacle !== null) {
    // What is done rests on guesses that the shard checks; what is not done must rest on what was read.
    return operation.lines.every((line) => ledger.wasRead(line)) ? obstacle : DEFERRED;
  }
  const { order_id, attempt } = cart;
  const status = isHold ? 'pending' : 'deducted';
  for (const { sku_id, order_detail_id, quantity } of fresh) ledger.setFlow({ sku_id, order_detail_id, order_id, attempt, quantity, returned: 0, status });
  for (const { sku_id, units } of wanted) {
    if (isHold) ledger.shelf(sku_id)?.hold(units);
    else ledger.shelf(sku_id)?.sell(units);
  }
  const lines = judged.map(({ line: { sku_id, order_detail_id, quantity }, flow, verdict }): DeductedLine => ({
    sku_id,
    order_detail_id,
    quantity,
    replayed: verdict === 'replay' && flow?.status === 'deducted',
    returned: verdict === 'replay' ? (flow?.returned ?? 0) : 0,
  }));
  return isHold ? { is: 'held', lines } : { is: 'deducted', lines };
}

function isFresh({ verdict }: Judged): boolean {
  return verdict === 'new' || verdict === 'free';
}

/** Whether nothing stands in the way: the same that `findObstacle` finds out, for the nearly always that it is so. */
function isClear(ledger: Ledger, judged: readonly Judged[], wanted: readonly Units[]): boolean {
  for (const each of judged) if (!isFresh(each) && each.verdict !== 'replay') return false;
  for (const { sku_id, units } of wanted) {
    const shelf = ledger.shelf(sku_id);
    if (shelf === null || !shelf.isOnSale || !shelf.has(units)) return false;
  }
  return true;
}

/** What stands in the way of some lines, or null. */
function findObstacle(ledger: Ledger, judged: readonly Judged[], wanted: readonly Units[]): Refused | Pending | NotDone | Deferred | Lacking | null {
  if (judged.some(({ verdict }) => verdict === 'late')) return { is: 'not_done', reason: 'this attempt was undone before it came' };
  const refusals = judged.flatMap((each) => refusalOf(ledger, each, wanted) ?? []);
  const lacking = wanted.filter(({ sku_id, units }) => ledger.shelf(sku_id)?.has(units) === false).map(({ sku_id }) => sku_id);
  const isShort = lacking.length > 0 || refusals.some(({ code }) => code === 'insufficient_stock');
  if (isShort && wanted.some(({ sku_id }) => ledger.shelf(sku_id)?.isChanged === true)) return DEFERRED;
  if (refusals.length > 0) return refusedLines(refusals);
  const held = judged.flatMap(({ verdict, flow }): Hold[] => (verdict === 'pending' && flow !== null ? [flow] : []));
  if (held.length > 0) return { is: 'pending', holds: held };
  return lacking.length > 0 ? { is: 'lacking', sku_ids: lacking } : null;
}

function refusalOf(ledger: Ledger, { line, verdict }: Judged, wanted: readonly Units[]): RefusedLine | null {
  if (verdict === 'idempotency_conflict' || verdict === 'cancelled') return { ...line, code: verdict };
  if (verdict !== 'new' && verdict !== 'free') return null;
  const shelf = ledger.shelf(line.sku_id);
  if (shelf === null) return { ...line, code: 'unknown_sku' };
  if (!shelf.isOnSale) return { ...line, code: 'not_on_sale' };
  const isShort = !shelf.hasWithHeld(wanted.find(({ sku_id }) => sku_id === line.sku_id)?.units ?? 0);
  if (!isShort) return null;
  // Not `...line`: refusals are most of what a sale is asked for.
  const { sku_id, order_detail_id, quantity } = line;
  return { sku_id, order_detail_id, quantity, code: 'insufficient_stock', leaved_amount: shelf.leaved ?? 0 };
}

/** Units of one SKU. */
export interface Units {
  readonly sku_id: string;
  readonly units: number;
}

/** Units by SKU, in the order of what is given. */
export function unitsOf(lines: readonly { readonly sku_id: string; readonly quantity: number }[]): Units[] {
  const [first] = lines;
  if (lines.length === 1 && first !== undefined) return [{ sku_id: first.sku_id, units: first.quantity }];
  const sums = new Map<string, number>();
  for (const { sku_id, quantity } of lines) sums.set(sku_id, (sums.get(sku_id) ?? 0) + quantity);
  return [...sums].map(([sku_id, units]) => ({ sku_id, units }));
}
