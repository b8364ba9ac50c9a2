import { compareIdentifiers } from '../../core/identifier.ts';
import { flowKeyText } from '../../core/types.ts';
import type { CartKey, Flow, FlowKey, Hold, Line } from '../../core/types.ts';
import { refusedLines } from '../../core/outcome.ts';
import type { DeductedLine, StaleLayout, NotDone, BlockedByHolds, Refused, RefusedLine } from '../../core/outcome.ts';
import { idStatusOf } from '../../core/idStatus.ts';
import { Raced } from '../connection/failures.ts';
import { readHolds } from '../sql/flows/holds.ts';
import { insertFlows } from '../sql/flows/insertFlows.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { readFirstRows } from '../sql/stock/readFirstRows.ts';
import { reviveFlows } from '../sql/flows/reviveFlows.ts';
import { takeStock } from '../sql/stock/takeStock.ts';
import type { Transaction } from '../connection/transaction.ts';

/** Lines whose flows and stock were taken, and the flows that existed already. */
export interface Claimed {
  readonly is: 'claimed';
  readonly fresh: readonly Line[];
  readonly existing: ReadonlyMap<string, Flow>;
}

/**
 * Writes the flows of the lines and takes their stock: all of them, or nothing that is kept.
 *
 * Flow first, stock last: repeated ids are found before stock is touched, and a hot row stays locked for one statement
 * and a COMMIT. Rows are locked in the order of their bytes, so that of two orders with the same goods one waits for
 * the other and they do not deadlock.
 *
 * @param given in any order; the lines of refusals come in this order
 */
export async function claim(
  transaction: Transaction,
  cart: CartKey,
  given: readonly Line[],
  status: 'deducted' | 'pending',
): Promise<Claimed | Refused | BlockedByHolds | NotDone | StaleLayout> {
  const lines = inOrderOfBytes(given);
  const isNew = await insertFlows(transaction, cart, lines, status);
  const existing = isNew ? new Map<string, Flow>() : await lockFlows(transaction, lines);
  const checked = lines.map((line) => {
    const flow = existing.get(flowKeyText(line));
    return { line, flow, idStatus: flow === undefined ? ('new' as const) : idStatusOf(cart, line, flow) };
  });
  const fresh = checked.filter(({ idStatus }) => idStatus === 'new' || idStatus === 'free').map(({ line }) => line);
  if (checked.some(({ idStatus }) => idStatus === 'late'))
    return { is: 'not_done', reason: 'the cart attempt was undone before its hold arrived' };
  if (!isNew) {
    await writeRest(transaction, cart, status, {
      absent: checked.filter(({ idStatus }) => idStatus === 'new').map(({ line }) => line),
      free: checked.filter(({ idStatus }) => idStatus === 'free').map(({ line }) => line),
    });
  }
  const refusals = checked.flatMap(({ line, idStatus }): RefusedLine[] =>
    idStatus === 'idempotency_conflict' || idStatus === 'cancelled' ? [{ ...line, code: idStatus }] : [],
  );
  const held = checked.flatMap(({ idStatus, flow }): Hold[] =>
    idStatus === 'pending' && flow !== undefined ? [flow] : [],
  );
  const taken = await takeAll(transaction, fresh, status === 'pending');
  if (taken.split.length > 0) return { is: 'moved', sku_ids: taken.split };
  const all = [...refusals, ...taken.refusals];
  if (all.length > 0) return refusedLines(inGivenOrder(given, all));
  if (held.length > 0) return { is: 'pending', holds: held };
  if (taken.lacking.length > 0) return holdersOf(transaction, taken.lacking);
  return { is: 'claimed', fresh, existing: new Map([...existing].filter(([, { status: was }]) => was !== 'void')) };
}

/** The lines in the form of the answer. */
export function answered(lines: readonly Line[], existing: ReadonlyMap<string, Flow>): DeductedLine[] {
  return lines.map((line) => {
    const flow = existing.get(flowKeyText(line));
    return { ...line, replayed: flow?.status === 'deducted', returned: flow?.returned ?? 0 };
  });
}

/** The order in which all transactions lock rows. */
export function inOrderOfBytes<K extends FlowKey>(keys: readonly K[]): K[] {
  return [...keys].sort(
    (a, b) => compareIdentifiers(a.sku_id, b.sku_id) || compareIdentifiers(a.order_detail_id, b.order_detail_id),
  );
}

/** Units by SKU, in the order of what is given. */
export function unitsOf(lines: readonly Line[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const { sku_id, quantity } of lines) units.set(sku_id, (units.get(sku_id) ?? 0) + quantity);
  return units;
}

/** Writes the missing flows, when some of the keys had flows already. */
async function writeRest(
  transaction: Transaction,
  cart: CartKey,
  status: 'deducted' | 'pending',
  { absent, free }: { readonly absent: readonly Line[]; readonly free: readonly Line[] },
): Promise<void> {
  if (absent.length > 0 && !(await insertFlows(transaction, cart, absent, status))) {
    throw new Raced('another transaction wrote one of the ids between two statements');
  }
  if (free.length > 0 && !(await reviveFlows(transaction, cart, free, status))) {
    throw new Raced('another transaction took an undone hold between two statements');
  }
}

/** Takes the stock of all lines in one statement, or names every line that cannot be served. */
async function takeAll(
  transaction: Transaction,
  lines: readonly Line[],
  isHold: boolean,
): Promise<{ refusals: RefusedLine[]; lacking: string[]; split: string[] }> {
  const wanted = unitsOf(lines);
  if (wanted.size === 0 || (await takeStock(transaction, wanted, isHold)))
    return { refusals: [], lacking: [], split: [] };
  // Of several SKUs some may have been taken. The units left can be read only after that is rolled back.
  if (wanted.size > 1) {
    await transaction.restart();
    if (!(await ownSlots(transaction, [...wanted.keys()]))) throw new Raced('a slot moved between two statements');
  }
  const stockRows = await readFirstRows(transaction, [...wanted.keys()]);
  const split = [...wanted.keys()].filter((sku_id) => stockRows.get(sku_id)?.isSplit === true);
  if (split.length > 0) return { refusals: [], lacking: [], split };
  const refusals: RefusedLine[] = [];
  const short: string[] = [];
  for (const line of lines) {
    const stockRow = stockRows.get(line.sku_id);
    const units = wanted.get(line.sku_id) ?? 0;
    if (stockRow === undefined) refusals.push({ ...line, code: 'unknown_sku' });
    else if (!stockRow.isOnSale) refusals.push({ ...line, code: 'not_on_sale' });
    else if (stockRow.sellable_amount >= units) continue;
    // A line that is short only by held units is not refused: those units may come back.
    else if (stockRow.sellable_amount + stockRow.held_amount >= units) short.push(line.sku_id);
    else refusals.push({ ...line, code: 'insufficient_stock', leaved_amount: stockRow.sellable_amount });
  }
  if (refusals.length === 0 && short.length === 0) throw new Raced('stock came in between two statements');
  return { refusals, lacking: short, split };
}

async function holdersOf(transaction: Transaction, sku_ids: readonly string[]): Promise<BlockedByHolds> {
  const holds = await readHolds(transaction, sku_ids);
  if (holds.length === 0) throw new Raced('the holds were completed between two statements');
  return { is: 'pending', holds };
}

function inGivenOrder(lines: readonly Line[], refusals: readonly RefusedLine[]): RefusedLine[] {
  const byKey = new Map(refusals.map((refusal) => [flowKeyText(refusal), refusal]));
  return lines.flatMap((line) => byKey.get(flowKeyText(line)) ?? []);
}
