import type { CartKey, Hold, WithRow, Transfer } from '../types.ts';
import type { Deduct, HoldLines, LineWithRow } from '../operation.ts';
import { stockRowKeyText } from '../types.ts';
import { refusedLines } from '../outcome.ts';
import type {
  DeductedLine,
  Redirect,
  Held,
  Deducted,
  StaleLayout,
  NotDone,
  BlockedByHolds,
  Refused,
  RefusedLine,
} from '../outcome.ts';
import { idStatusOf } from '../idStatus.ts';
import type { IdStatus } from '../idStatus.ts';
import type { Ledger, LedgerFlow } from './ledger.ts';

/**
 * Not decided yet: the decision would rest on a guess, or on earlier decisions of this batch that are not written yet.
 */
export interface Deferred {
  readonly is: 'deferred';
}

/** Some SKUs are short only by units that carts hold. The holds must still be read. */
export interface ShortOfHeldUnits {
  readonly is: 'lacking';
  readonly sku_ids: readonly string[];
}

export const DEFERRED: Deferred = { is: 'deferred' };

interface CheckedLine {
  readonly line: LineWithRow;
  readonly flow: LedgerFlow | null;
  readonly idStatus: IdStatus | 'new';
}

/** An outcome that prevents the deduction or the hold. */
export type Obstacle = Refused | BlockedByHolds | NotDone | StaleLayout | Redirect | Deferred | ShortOfHeldUnits;

/** A deduction or a hold that nothing prevents, with what it changes. */
export interface DeductionPlan {
  readonly is: 'clear';
  readonly cart: CartKey;
  readonly checkedLines: readonly CheckedLine[];
  readonly fresh: readonly LineWithRow[];
  readonly needed: readonly RowUnits[];
  readonly credits: readonly Transfer[];
}

/** Judges a deduction, or a hold for a cart. The ledger is not changed. */
export function judgeDeduction(ledger: Ledger, operation: Deduct | HoldLines): DeductionPlan | Obstacle {
  const cart = cartOf(operation);
  if (cart.transaction !== undefined && ledger.decisionOf(cart.transaction) === 'aborted')
    return { is: 'not_done', reason: 'another gateway aborted the transaction', isAborted: true };
  const checkedLines: CheckedLine[] = [];
  for (const line of operation.lines) {
    const flow = ledger.flow(line);
    checkedLines.push({ line, flow, idStatus: flow === null ? 'new' : idStatusOf(cart, line, flow) });
  }
  const fresh = checkedLines.every(isFresh) ? operation.lines : checkedLines.filter(isFresh).map(({ line }) => line);
  const needed = unitsByRow(fresh);
  const credits = openCreditsOf(ledger, operation);
  const obstacle = isClear(ledger, checkedLines, needed, credits)
    ? null
    : findObstacle(ledger, checkedLines, needed, credits);
  if (obstacle !== null) {
    // An accepted operation may rest on guesses, because the shard checks them. A rejected one must rest on rows that
    // were read.
    return operation.lines.every((line) => ledger.wasRead(line)) ? obstacle : DEFERRED;
  }
  return { is: 'clear', cart, checkedLines, fresh, needed, credits };
}

/** Enters a deduction or a hold that was judged clear in this ledger, with no other change in between. */
export function enterDeduction(
  ledger: Ledger,
  operation: Deduct | HoldLines,
  { cart, checkedLines, fresh, needed, credits }: DeductionPlan,
): Deducted | Held {
  const isHold = operation.kind === 'hold';
  if (isHold && operation.isTrial === true) return { is: 'held', lines: checkedLines.map(answerOf) };
  const { order_id, attempt, transaction } = cart;
  const status = isHold ? 'pending' : 'deducted';
  for (const { sku_id, order_detail_id, quantity, row } of fresh) {
    const sub_row = row?.sub_row ?? 0;
    const flow: LedgerFlow = { sku_id, order_detail_id, order_id, attempt, quantity, returned: 0, status, sub_row };
    ledger.setFlow(transaction === undefined ? flow : { ...flow, transaction });
  }
  // Credits are entered even if their line is a replay: this row is their destination in any case.
  for (const credit of credits) enterCredit(ledger, credit);
  for (const { sku_id, sub_row, epoch, units } of needed) {
    const stockRow = ledger.stockRow(sku_id, sub_row);
    stockRow?.fence(epoch);
    if (isHold) stockRow?.hold(units);
    else stockRow?.sell(units);
  }
  const lines = checkedLines.map(answerOf);
  return isHold ? { is: 'held', lines } : { is: 'deducted', lines };
}

function answerOf({ line: { sku_id, order_detail_id, quantity }, flow, idStatus }: CheckedLine): DeductedLine {
  return {
    sku_id,
    order_detail_id,
    quantity,
    replayed: idStatus === 'replay' && flow?.status === 'deducted',
    returned: idStatus === 'replay' ? (flow?.returned ?? 0) : 0,
  };
}

function cartOf(operation: Deduct | HoldLines): CartKey {
  const { order_id, transaction } = operation;
  const attempt = operation.kind === 'hold' ? operation.attempt : 0;
  return transaction === undefined ? { order_id, attempt } : { order_id, attempt, transaction };
}

function isFresh({ idStatus }: CheckedLine): boolean {
  return idStatus === 'new' || idStatus === 'free';
}

/** Whether there is no obstacle. Gives the same answer as `findObstacle`, faster, for the common case. */
function isClear(
  ledger: Ledger,
  checkedLines: readonly CheckedLine[],
  needed: readonly RowUnits[],
  credits: readonly Transfer[],
): boolean {
  for (const each of checkedLines) if (!isFresh(each) && each.idStatus !== 'replay') return false;
  for (const units of needed) {
    const stockRow = ledger.stockRow(units.sku_id, units.sub_row);
    if (
      stockRow === null ||
      !stockRow.isOpenAt(units.epoch) ||
      !stockRow.isOnSale ||
      !stockRow.has(shortfallOf(units, credits))
    )
      return false;
  }
  return true;
}

/** The obstacle to some lines, or null. */
function findObstacle(
  ledger: Ledger,
  checkedLines: readonly CheckedLine[],
  needed: readonly RowUnits[],
  credits: readonly Transfer[],
): Obstacle | null {
  const misrouted = findMisrouted(ledger, checkedLines, needed);
  if (misrouted !== null) return misrouted;
  if (checkedLines.some(({ idStatus }) => idStatus === 'late'))
    return { is: 'not_done', reason: 'the cart attempt was undone before its hold arrived' };
  const refusals = checkedLines.flatMap((each) => refusalOf(ledger, each, needed, credits) ?? []);
  const shortSkuIds = needed
    .filter((units) => ledger.stockRow(units.sku_id, units.sub_row)?.has(shortfallOf(units, credits)) === false)
    .map(({ sku_id }) => sku_id);
  const isShort = shortSkuIds.length > 0 || refusals.some(({ code }) => code === 'insufficient_stock');
  if (isShort && needed.some(({ sku_id, sub_row }) => ledger.stockRow(sku_id, sub_row)?.isChanged === true))
    return DEFERRED;
  if (refusals.length > 0) return refusedLines(refusals);
  const held = checkedLines.flatMap(({ idStatus, flow }): Hold[] =>
    idStatus === 'pending' && flow !== null ? [flow] : [],
  );
  if (held.length > 0) return { is: 'pending', holds: held };
  return shortSkuIds.length > 0 ? { is: 'lacking', sku_ids: shortSkuIds } : null;
}

/** Whether flows of the ids are on other shards, or the rows are not in the named layout. */
function findMisrouted(
  ledger: Ledger,
  checkedLines: readonly CheckedLine[],
  needed: readonly RowUnits[],
): StaleLayout | Redirect | null {
  const redirects = checkedLines.flatMap(({ idStatus, flow }) =>
    idStatus === 'elsewhere' && flow !== null ? [pointerTarget(flow)] : [],
  );
  if (redirects.length > 0) return { is: 'elsewhere', flows: redirects };
  const stale = needed.filter(({ sku_id, sub_row, epoch }) => !isRowOpenAt(ledger, sku_id, { sub_row, epoch }));
  return stale.length > 0 ? { is: 'moved', sku_ids: stale.map(({ sku_id }) => sku_id) } : null;
}

/** Whether a row takes new ids in a layout. An unknown SKU takes tombstones on the shard that would have its row. */
export function isRowOpenAt(
  ledger: Ledger,
  sku_id: string,
  { sub_row, epoch }: { readonly sub_row: number; readonly epoch: number },
): boolean {
  const stockRow = ledger.stockRow(sku_id, sub_row);
  return stockRow === null ? epoch === 0 : stockRow.isOpenAt(epoch);
}

export function pointerTarget({ sku_id, order_detail_id, moved_to }: LedgerFlow): Redirect['flows'][number] {
  if (moved_to === undefined || moved_to === null) throw new Error('a pointer has no moved_to, expected a shard');
  return { sku_id, order_detail_id, shard: moved_to };
}

/** The transfers fetched for an operation that are not credited yet. */
export function openCreditsOf(
  ledger: Ledger,
  { credits }: { readonly credits?: readonly Transfer[] },
): readonly Transfer[] {
  return credits === undefined ? NO_CREDITS : credits.filter((credit) => !ledger.hasTransfer('in', credit));
}

const NO_CREDITS: readonly Transfer[] = [];

/** Enters the credit of a transfer. */
export function enterCredit(ledger: Ledger, transfer: Transfer): void {
  const stockRow = ledger.stockRow(transfer.sku_id, transfer.to.sub_row);
  if (stockRow === null) throw new Error('the destination row of a transfer does not exist');
  stockRow.add(transfer.amount);
  ledger.addTransfer('in', transfer);
}

/** The units that the row must have besides the fetched transfers. */
function shortfallOf({ sku_id, sub_row, units }: RowUnits, credits: readonly Transfer[]): number {
  let shortfall = units;
  for (const { sku_id: of, to, amount } of credits) if (of === sku_id && to.sub_row === sub_row) shortfall -= amount;
  return Math.max(0, shortfall);
}

function refusalOf(
  ledger: Ledger,
  { line, idStatus }: CheckedLine,
  needed: readonly RowUnits[],
  credits: readonly Transfer[],
): RefusedLine | null {
  const { sku_id, order_detail_id, quantity } = line;
  if (idStatus === 'idempotency_conflict' || idStatus === 'cancelled')
    return { sku_id, order_detail_id, quantity, code: idStatus };
  if (idStatus !== 'new' && idStatus !== 'free') return null;
  const sub_row = line.row?.sub_row ?? 0;
  const stockRow = ledger.stockRow(line.sku_id, sub_row);
  if (stockRow === null) return { sku_id, order_detail_id, quantity, code: 'unknown_sku' };
  if (!stockRow.isOnSale) return { sku_id, order_detail_id, quantity, code: 'not_on_sale' };
  const units = needed.find((candidate) => candidate.sku_id === line.sku_id && candidate.sub_row === sub_row);
  const shortfall = units === undefined ? 0 : shortfallOf(units, credits);
  // Units that one of many rows is short of may be in the other rows. The caller requests them there, and reads the
  // holds of all rows.
  if (line.row === undefined ? stockRow.hasWithHeld(shortfall) : stockRow.has(shortfall)) return null;
  return { sku_id, order_detail_id, quantity, code: 'insufficient_stock', leaved_amount: stockRow.leaved ?? 0 };
}

/** Units of one row, and the epoch of the layout in which they are requested. */
export interface RowUnits {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly epoch: number;
  readonly units: number;
}

/** Adds up the units of lines by row, in the order of the lines. */
export function unitsByRow(
  lines: readonly ({ readonly sku_id: string; readonly quantity: number } & WithRow)[],
): RowUnits[] {
  const [first] = lines;
  if (lines.length === 1 && first !== undefined) return [unitsOfLine(first)];
  const sums = new Map<string, RowUnits>();
  for (const line of lines) {
    const one = unitsOfLine(line);
    const key = stockRowKeyText(one.sku_id, one.sub_row);
    sums.set(key, { ...one, units: one.units + (sums.get(key)?.units ?? 0) });
  }
  return [...sums.values()];
}

function unitsOfLine({
  sku_id,
  quantity,
  row,
}: { readonly sku_id: string; readonly quantity: number } & WithRow): RowUnits {
  return { sku_id, sub_row: row?.sub_row ?? 0, epoch: row?.epoch ?? 0, units: quantity };
}
