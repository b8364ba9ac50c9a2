import type { CartKey, Hold, Placed, Transfer } from '../nouns.ts';
import type { Deduct, HoldLines, PlacedLine } from '../operation.ts';
import { shelfKeyText } from '../nouns.ts';
import { refusedLines } from '../outcome.ts';
import type {
  DeductedLine,
  Elsewhere,
  Held,
  Deducted,
  Moved,
  NotDone,
  Pending,
  Refused,
  RefusedLine,
} from '../outcome.ts';
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
  readonly line: PlacedLine;
  readonly flow: LedgerFlow | null;
  readonly verdict: Standing | 'new';
}

/** What stands in the way of some lines. */
type Obstacle = Refused | Pending | NotDone | Moved | Elsewhere | Deferred | Lacking;

/** Decides a deduction, or a hold for a cart; enters it in the ledger when nothing stands in the way. */
export function claim(ledger: Ledger, operation: Deduct | HoldLines): Deducted | Held | Obstacle {
  const isHold = operation.kind === 'hold';
  const cart: CartKey = { order_id: operation.order_id, attempt: isHold ? operation.attempt : 0 };
  const judged: Judged[] = [];
  for (const line of operation.lines) {
    const flow = ledger.flow(line);
    judged.push({ line, flow, verdict: flow === null ? 'new' : judgeStanding(cart, line, flow) });
  }
  const fresh = judged.every(isFresh) ? operation.lines : judged.filter(isFresh).map(({ line }) => line);
  const wanted = unitsOf(fresh);
  const credits = creditsOf(ledger, operation);
  const obstacle = isClear(ledger, judged, wanted, credits) ? null : findObstacle(ledger, judged, wanted, credits);
  if (obstacle !== null) {
    // What is done rests on guesses that the shard checks; what is not done must rest on what was read.
    return operation.lines.every((line) => ledger.wasRead(line)) ? obstacle : DEFERRED;
  }
  const { order_id, attempt } = cart;
  const status = isHold ? 'pending' : 'deducted';
  for (const { sku_id, order_detail_id, quantity, row } of fresh) {
    ledger.setFlow({
      sku_id,
      order_detail_id,
      order_id,
      attempt,
      quantity,
      returned: 0,
      status,
      sub_row: row?.sub_row ?? 0,
    });
  }
  // Also what was fetched in vain, for a line that stood already: it is at home here.
  for (const credit of credits) receive(ledger, credit);
  for (const { sku_id, sub_row, epoch, units } of wanted) {
    const shelf = ledger.shelf(sku_id, sub_row);
    shelf?.fence(epoch);
    if (isHold) shelf?.hold(units);
    else shelf?.sell(units);
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
function isClear(
  ledger: Ledger,
  judged: readonly Judged[],
  wanted: readonly Units[],
  credits: readonly Transfer[],
): boolean {
  for (const each of judged) if (!isFresh(each) && each.verdict !== 'replay') return false;
  for (const units of wanted) {
    const shelf = ledger.shelf(units.sku_id, units.sub_row);
    if (shelf === null || !shelf.isAt(units.epoch) || !shelf.isOnSale || !shelf.has(lackOf(units, credits)))
      return false;
  }
  return true;
}

/** What stands in the way of some lines, or null. */
function findObstacle(
  ledger: Ledger,
  judged: readonly Judged[],
  wanted: readonly Units[],
  credits: readonly Transfer[],
): Obstacle | null {
  const misplaced = findMisplaced(ledger, judged, wanted);
  if (misplaced !== null) return misplaced;
  if (judged.some(({ verdict }) => verdict === 'late'))
    return { is: 'not_done', reason: 'this attempt was undone before it came' };
  const refusals = judged.flatMap((each) => refusalOf(ledger, each, wanted, credits) ?? []);
  const lacking = wanted
    .filter((units) => ledger.shelf(units.sku_id, units.sub_row)?.has(lackOf(units, credits)) === false)
    .map(({ sku_id }) => sku_id);
  const isShort = lacking.length > 0 || refusals.some(({ code }) => code === 'insufficient_stock');
  if (isShort && wanted.some(({ sku_id, sub_row }) => ledger.shelf(sku_id, sub_row)?.isChanged === true))
    return DEFERRED;
  if (refusals.length > 0) return refusedLines(refusals);
  const held = judged.flatMap(({ verdict, flow }): Hold[] => (verdict === 'pending' && flow !== null ? [flow] : []));
  if (held.length > 0) return { is: 'pending', holds: held };
  return lacking.length > 0 ? { is: 'lacking', sku_ids: lacking } : null;
}

/** Whether the lines belong somewhere else: what stands under their ids, or the rows in this layout. */
function findMisplaced(ledger: Ledger, judged: readonly Judged[], wanted: readonly Units[]): Moved | Elsewhere | null {
  const elsewhere = judged.flatMap(({ verdict, flow }) =>
    verdict === 'elsewhere' && flow !== null ? [pointedBy(flow)] : [],
  );
  if (elsewhere.length > 0) return { is: 'elsewhere', flows: elsewhere };
  const moved = wanted.filter(({ sku_id, sub_row, epoch }) => !isRowAt(ledger, sku_id, { sub_row, epoch }));
  return moved.length > 0 ? { is: 'moved', sku_ids: moved.map(({ sku_id }) => sku_id) } : null;
}

/** Whether a row takes new ids in a layout. A SKU that is not there takes tombstones where it would be. */
export function isRowAt(
  ledger: Ledger,
  sku_id: string,
  { sub_row, epoch }: { readonly sub_row: number; readonly epoch: number },
): boolean {
  const shelf = ledger.shelf(sku_id, sub_row);
  return shelf === null ? epoch === 0 : shelf.isAt(epoch);
}

export function pointedBy({ sku_id, order_detail_id, moved_to }: LedgerFlow): Elsewhere['flows'][number] {
  if (moved_to === undefined || moved_to === null) throw new Error('a pointer points nowhere');
  return { sku_id, order_detail_id, shard: moved_to };
}

/** Those units that were fetched for an operation and have not come in yet. */
export function creditsOf(
  ledger: Ledger,
  { credits }: { readonly credits?: readonly Transfer[] },
): readonly Transfer[] {
  return credits === undefined ? NO_CREDITS : credits.filter((credit) => !ledger.hasTransfer('in', credit));
}

const NO_CREDITS: readonly Transfer[] = [];

/** Enters units that were sent. */
export function receive(ledger: Ledger, transfer: Transfer): void {
  const shelf = ledger.shelf(transfer.sku_id, transfer.to.sub_row);
  if (shelf === null) throw new Error('units were sent to a row that is not there');
  shelf.add(transfer.amount);
  ledger.addTransfer('in', transfer);
}

/** What must be on the shelf beside what was fetched. */
function lackOf({ sku_id, sub_row, units }: Units, credits: readonly Transfer[]): number {
  let lack = units;
  for (const { sku_id: of, to, amount } of credits) if (of === sku_id && to.sub_row === sub_row) lack -= amount;
  return Math.max(0, lack);
}

function refusalOf(
  ledger: Ledger,
  { line, verdict }: Judged,
  wanted: readonly Units[],
  credits: readonly Transfer[],
): RefusedLine | null {
  const { sku_id, order_detail_id, quantity } = line;
  if (verdict === 'idempotency_conflict' || verdict === 'cancelled')
    return { sku_id, order_detail_id, quantity, code: verdict };
  if (verdict !== 'new' && verdict !== 'free') return null;
  const sub_row = line.row?.sub_row ?? 0;
  const shelf = ledger.shelf(line.sku_id, sub_row);
  if (shelf === null) return { sku_id, order_detail_id, quantity, code: 'unknown_sku' };
  if (!shelf.isOnSale) return { sku_id, order_detail_id, quantity, code: 'not_on_sale' };
  const units = wanted.find((candidate) => candidate.sku_id === line.sku_id && candidate.sub_row === sub_row);
  const lack = units === undefined ? 0 : lackOf(units, credits);
  // What one of many rows lacks may lie in the others: whoever asked looks there, and for what is held everywhere.
  if (line.row === undefined ? shelf.hasWithHeld(lack) : shelf.has(lack)) return null;
  return { sku_id, order_detail_id, quantity, code: 'insufficient_stock', leaved_amount: shelf.leaved ?? 0 };
}

/** Units of one row, and the layout in which they are asked for. */
export interface Units {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly epoch: number;
  readonly units: number;
}

/** Units by row, in the order of what is given. */
export function unitsOf(lines: readonly ({ readonly sku_id: string; readonly quantity: number } & Placed)[]): Units[] {
  const [first] = lines;
  if (lines.length === 1 && first !== undefined) return [unitsOfLine(first)];
  const sums = new Map<string, Units>();
  for (const line of lines) {
    const one = unitsOfLine(line);
    const key = shelfKeyText(one.sku_id, one.sub_row);
    sums.set(key, { ...one, units: one.units + (sums.get(key)?.units ?? 0) });
  }
  return [...sums.values()];
}

function unitsOfLine({
  sku_id,
  quantity,
  row,
}: { readonly sku_id: string; readonly quantity: number } & Placed): Units {
  return { sku_id, sub_row: row?.sub_row ?? 0, epoch: row?.epoch ?? 0, units: quantity };
}
