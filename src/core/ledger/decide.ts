import type { Flow, RowRef } from '../nouns.ts';
import type { Adjust, Cancel, Deduct, HoldLines, PlacedKey, Receive, Return, Send, SettleLines } from '../operation.ts';
import { refused, refusedLines } from '../outcome.ts';
import type { AppliedOutcome, CancelOutcome, OutcomeOf, RefusedLine, ReturnOutcome } from '../outcome.ts';
import { sumUnits } from '../units.ts';
import { claim, creditsOf, DEFERRED, isRowAt, pointedBy, receive, unitsOf } from './claim.ts';
import type { Deferred, Lacking } from './claim.ts';
import type { Ledger, LedgerFlow } from './ledger.ts';

/** What can ride in a batch. The rest is rare, and has a transaction of its own. */
export type Batchable = Deduct | HoldLines | SettleLines | Return | Cancel | Adjust | Send | Receive;

/** What is said of an operation, or why it cannot be said yet. */
export type Decision = OutcomeOf<Batchable> | Deferred | Lacking;

/** The return id under which a cancellation gives back the rest: no caller's id is empty. */
const CANCELLATION = '';

/**
 * Decides one operation by the rows as they stand after all that were decided before it, and enters what it changes.
 * Decisions of a batch are those of its operations one after the other, in the order of these calls.
 */
export function decide(ledger: Ledger, operation: Batchable): Decision {
  switch (operation.kind) {
    case 'deduct':
    case 'hold':
      return claim(ledger, operation);
    case 'settle':
      return settle(ledger, operation);
    case 'return':
      return giveBack(ledger, operation);
    case 'cancel':
      return cancel(ledger, operation);
    case 'adjust':
      return adjust(ledger, operation);
    case 'send':
      return send(ledger, operation);
    case 'receive':
      return receiveOnce(ledger, operation);
  }
}

/** The row of a SKU that is not split. */
const ONLY_ROW: RowRef = { sub_row: 0, epoch: 0 };

/** Only what this very attempt holds is touched, so it can be done by anybody and any number of times. */
function settle(ledger: Ledger, { order_id, attempt, verdict, lines }: SettleLines): AppliedOutcome {
  let isReplay = true;
  for (const line of lines) {
    // Whatever stands there: the attempt holds nothing any more, and a stray note of a hold would be met for ever.
    ledger.strikeOut({ ...line, order_id, attempt });
    const flow = ledger.flow(line);
    const isOwn = flow?.order_id === order_id;
    if (flow === null && verdict === 'aborted') {
      const { sku_id, order_detail_id, quantity, row = ONLY_ROW } = line;
      // A late hold that names a closed row is refused by it.
      if (!isRowAt(ledger, sku_id, row)) continue;
      // So that a late hold finds that it is late.
      ledger.setFlow({
        sku_id,
        order_detail_id,
        quantity,
        order_id,
        attempt,
        returned: 0,
        status: 'void',
        sub_row: row.sub_row,
      });
      ledger.shelf(sku_id, row.sub_row)?.fence(row.epoch);
    } else if (flow?.status === 'void' && isOwn && verdict === 'aborted' && flow.attempt < attempt) {
      ledger.setFlow({ ...flow, attempt });
    } else if (flow?.status === 'pending' && isOwn && flow.attempt === attempt) {
      shelfOf(ledger, flow).settle(flow.quantity, verdict);
      ledger.setFlow({ ...flow, status: verdict === 'committed' ? 'deducted' : 'void' });
    } else {
      continue;
    }
    isReplay = false;
  }
  return { is: 'applied', replayed: isReplay };
}

function giveBack(
  ledger: Ledger,
  { sku_id, order_detail_id, return_id, quantity, row = ONLY_ROW }: Return,
): ReturnOutcome | Deferred {
  const flow = ledger.flow({ sku_id, order_detail_id });
  if (flow?.status === 'moved') return { is: 'elsewhere', flows: [pointedBy(flow)] };
  if ((flow === null || flow.status === 'void') && !isRowAt(ledger, sku_id, row))
    return { is: 'moved', sku_ids: [sku_id] };
  if (flow === null || flow.status === 'void' || flow.quantity === 0) return refused('unknown_deduction');
  if (flow.status === 'pending') return { is: 'pending', holds: [flow] };
  const earlier = ledger.returned(flow, return_id);
  const returnable = flow.quantity - flow.returned;
  if (earlier !== null) {
    return earlier === quantity
      ? { is: 'returned', replayed: true, returned: flow.returned, returnable }
      : refused('idempotency_conflict');
  }
  if (quantity > returnable) return { ...refused('over_return'), returnable };
  const shelf = shelfOf(ledger, flow);
  if (!shelf.hasRoomFor(quantity)) return shelf.isChanged ? DEFERRED : refused('stock_limit');
  shelf.addNew(quantity);
  const returned = flow.returned + quantity;
  ledger.setFlow({ ...flow, returned });
  ledger.addReturn({ sku_id, order_detail_id, return_id, quantity });
  return { is: 'returned', replayed: false, returned, returnable: flow.quantity - returned };
}

function cancel(ledger: Ledger, { order_id, lines }: Cancel): CancelOutcome | Deferred {
  const standing = lines.map((key) => ({ key, flow: ledger.flow(key) }));
  const flows = standing.flatMap(({ flow }) => flow ?? []);
  const elsewhere = flows.filter(({ status }) => status === 'moved');
  if (elsewhere.length > 0) return { is: 'elsewhere', flows: elsewhere.map(pointedBy) };
  const moved = standing.filter(
    ({ key, flow }) => (flow === null || flow.status === 'void') && !isRowAt(ledger, key.sku_id, key.row ?? ONLY_ROW),
  );
  if (moved.length > 0) return { is: 'moved', sku_ids: moved.map(({ key }) => key.sku_id) };
  const foreign = flows.filter(
    (flow) => flow.order_id !== order_id && (flow.status === 'deducted' || flow.status === 'cancelled'),
  );
  if (foreign.length > 0) return refusedLines(foreign.map(conflictOf));
  const held = flows.filter(({ status }) => status === 'pending');
  if (held.length > 0) return { is: 'pending', holds: held };
  if (standing.every(({ flow }) => flow?.status === 'cancelled')) return { is: 'applied', replayed: true };
  // A tombstone has no rest, and perhaps no SKU.
  const rests = unitsOf(
    flows
      .filter((flow) => restOf(flow) > 0)
      .map((flow) => ({ sku_id: flow.sku_id, quantity: restOf(flow), row: { sub_row: flow.sub_row, epoch: 0 } })),
  );
  for (const { sku_id, sub_row, units } of rests) {
    const shelf = shelfOf(ledger, { sku_id, sub_row });
    if (!shelf.hasRoomFor(units)) return shelf.isChanged ? DEFERRED : refused('stock_limit');
  }
  for (const { key, flow } of standing) bury(ledger, order_id, key, flow);
  for (const { sku_id, sub_row, units } of rests) shelfOf(ledger, { sku_id, sub_row }).addNew(units);
  return { is: 'applied', replayed: false };
}

/** The rest goes back; what was never deducted becomes a tombstone. */
function bury(
  ledger: Ledger,
  order_id: string,
  { sku_id, order_detail_id, row = ONLY_ROW }: PlacedKey,
  flow: LedgerFlow | null,
): void {
  if (flow?.status === 'cancelled') return;
  if (flow === null || flow.status === 'void') {
    ledger.setFlow({
      sku_id,
      order_detail_id,
      order_id,
      attempt: flow?.attempt ?? 0,
      quantity: 0,
      returned: 0,
      status: 'cancelled',
      sub_row: row.sub_row,
    });
    ledger.shelf(sku_id, row.sub_row)?.fence(row.epoch);
    return;
  }
  const rest = restOf(flow);
  ledger.setFlow({ ...flow, order_id, returned: flow.quantity, status: 'cancelled' });
  if (rest > 0) ledger.addReturn({ sku_id, order_detail_id, return_id: CANCELLATION, quantity: rest });
}

function adjust(ledger: Ledger, operation: Adjust): AppliedOutcome | Deferred {
  const { sku_id, adjustment_id, delta, reason, row = ONLY_ROW } = operation;
  const standing = ledger.adjusted(sku_id, adjustment_id);
  if (standing !== null)
    return standing === delta ? { is: 'applied', replayed: true } : refused('idempotency_conflict');
  const shelf = ledger.shelf(sku_id, row.sub_row);
  if (shelf === null) return refused('unknown_sku');
  if (!shelf.isAt(row.epoch)) return { is: 'moved', sku_ids: [sku_id] };
  const credits = creditsOf(ledger, operation);
  const fetched = sumUnits(credits.map(({ amount }) => amount));
  // A write-off counts the units in the row; those that carts hold are not there.
  const isRestock = delta > 0;
  const hasRoom = (): boolean => ledger.isWithinLimit(sku_id, delta) && shelf.hasRoomFor(delta);
  const fits = isRestock ? hasRoom() : shelf.hasLying(-delta - fetched);
  if (!fits) {
    if (shelf.isChanged) return DEFERRED;
    if (isRestock) return refused('stock_limit');
    return { ...refused('insufficient_stock'), leaved_amount: (shelf.lying ?? 0) + fetched };
  }
  shelf.fence(row.epoch);
  for (const credit of credits) receive(ledger, credit);
  if (isRestock) shelf.addNew(delta);
  else shelf.writeOff(-delta);
  ledger.addAdjustment({ sku_id, adjustment_id, delta, reason });
  return { is: 'applied', replayed: false };
}

/** Not off a row that is another layout's by now, least of all off the only one that is left. */
function send(ledger: Ledger, { sku_id, transfer_id, amount, from, to, epoch }: Send): AppliedOutcome | Deferred {
  const transfer = { sku_id, transfer_id, amount, from, to };
  if (ledger.hasTransfer('out', transfer)) return { is: 'applied', replayed: true };
  const shelf = shelfOf(ledger, { sku_id, sub_row: from.sub_row });
  if (epoch !== null && !shelf.isAt(epoch)) return { is: 'moved', sku_ids: [sku_id] };
  if (!shelf.has(amount)) return shelf.isChanged ? DEFERRED : refused('insufficient_stock');
  if (epoch !== null) shelf.fence(epoch);
  shelf.sendAway(amount);
  ledger.addTransfer('out', transfer);
  return { is: 'applied', replayed: false };
}

function receiveOnce(ledger: Ledger, { sku_id, transfer_id, amount, from, to }: Receive): AppliedOutcome {
  const transfer = { sku_id, transfer_id, amount, from, to };
  if (ledger.hasTransfer('in', transfer)) return { is: 'applied', replayed: true };
  receive(ledger, transfer);
  return { is: 'applied', replayed: false };
}

function shelfOf(ledger: Ledger, { sku_id, sub_row }: { readonly sku_id: string; readonly sub_row: number }) {
  const shelf = ledger.shelf(sku_id, sub_row);
  if (shelf === null) throw new Error('a SKU has flows and no stock row');
  return shelf;
}

/** What an undone hold took has gone back already. */
function restOf({ status, quantity, returned }: Pick<Flow, 'status' | 'quantity' | 'returned'>): number {
  return status === 'void' ? 0 : quantity - returned;
}

function conflictOf({ sku_id, order_detail_id, quantity }: LedgerFlow): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'idempotency_conflict' };
}
