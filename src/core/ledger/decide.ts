import type { Adjust, Cancel, Deduct, HoldLines, Receive, Return, Send, CompleteLines } from '../operation.ts';
import { refused } from '../outcome.ts';
import type { Applied, AppliedOutcome, Deducted, Held, OutcomeOf, ReturnOutcome } from '../outcome.ts';
import { sumUnits } from '../units.ts';
import { isOfCart } from '../idStatus.ts';
import {
  enterDeduction,
  judgeDeduction,
  openCreditsOf,
  DEFERRED,
  isRowOpenAt,
  pointerTarget,
  enterCredit,
} from './decideDeduction.ts';
import type { Deferred, Obstacle, ShortOfHeldUnits } from './decideDeduction.ts';
import { enterCancellation, judgeCancellation } from './decideCancellation.ts';
import { ONLY_ROW, stockRowOf } from './ledger.ts';
import type { Ledger } from './ledger.ts';

/** Operations that can be part of a batch. The others are rare, and have a transaction of their own. */
export type BatchOperation = Deduct | HoldLines | CompleteLines | Return | Cancel | Adjust | Send | Receive;

/** The outcome of an operation, or the reason why it is not decided yet. */
export type Decision = OutcomeOf<BatchOperation> | Deferred | ShortOfHeldUnits;

/**
 * Decides one operation and enters its changes in the ledger. The operation sees the changes of all operations decided
 * before it. So a batch has the same outcomes as its operations one after the other, in the order of these calls.
 */
export function decide(ledger: Ledger, operation: BatchOperation): Decision {
  switch (operation.kind) {
    case 'deduct':
    case 'hold':
      return decideDeduction(ledger, operation);
    case 'settle':
      return completeLines(ledger, operation);
    case 'return':
      return returnUnits(ledger, operation);
    case 'cancel':
      return decideCancellation(ledger, operation);
    case 'adjust':
      return adjust(ledger, operation);
    case 'send':
      return send(ledger, operation);
    case 'receive':
      return receiveOnce(ledger, operation);
  }
}

function decideDeduction(ledger: Ledger, operation: Deduct | HoldLines): Deducted | Held | Obstacle {
  const judged = judgeDeduction(ledger, operation);
  return judged.is === 'clear' ? enterDeduction(ledger, operation, judged) : judged;
}

function decideCancellation(ledger: Ledger, operation: Cancel): Applied | Obstacle {
  const judged = judgeCancellation(ledger, operation);
  return judged.is === 'clear' ? enterCancellation(ledger, operation, judged) : judged;
}

/** Completes a cart. It changes only holds of this attempt, so any gateway can do it, any number of times. */
export function completeLines(ledger: Ledger, operation: CompleteLines): Applied {
  if (operation.transaction !== undefined) return completeTransaction(ledger, operation);
  const { order_id, attempt, decision, lines } = operation;
  let isReplay = true;
  for (const line of lines) {
    // In every case the attempt holds nothing afterwards. A hold row without a hold would be found again and again.
    ledger.deleteHold({ ...line, order_id, attempt });
    const flow = ledger.flow(line);
    const isOwn = flow?.order_id === order_id && flow.transaction === undefined;
    if (flow === null && decision === 'aborted') {
      const { sku_id, order_detail_id, quantity, row = ONLY_ROW } = line;
      // A late hold that names a closed row is rejected by that row.
      if (!isRowOpenAt(ledger, sku_id, row)) continue;
      // A late hold finds this flow, and is rejected.
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
      ledger.stockRow(sku_id, row.sub_row)?.fence(row.epoch);
    } else if (flow?.status === 'void' && isOwn && decision === 'aborted' && flow.attempt < attempt) {
      ledger.setFlow({ ...flow, attempt });
    } else if (flow?.status === 'pending' && isOwn && flow.attempt === attempt) {
      stockRowOf(ledger, flow).settle(flow.quantity, decision);
      ledger.setFlow({ ...flow, status: decision === 'committed' ? 'deducted' : 'void' });
    } else {
      continue;
    }
    isReplay = false;
  }
  return { is: 'applied', replayed: isReplay };
}

/** The same for an attempt that is named by its transaction. Such a hold, if undone, leaves nothing. */
function completeTransaction(ledger: Ledger, operation: CompleteLines): Applied {
  const { order_id, attempt, transaction, decision, lines, isHeld } = operation;
  const cart = { order_id, attempt, ...(transaction === undefined ? {} : { transaction }) };
  let isReplay = true;
  for (const line of lines) {
    const { sku_id, order_detail_id, quantity, row = ONLY_ROW } = line;
    const held = { sku_id, order_detail_id, ...cart };
    if (isHeld === true) ledger.assumeFlow({ ...held, quantity, returned: 0, status: 'pending', sub_row: row.sub_row });
    ledger.deleteHold(held);
    const flow = ledger.flow(line);
    if (flow?.status !== 'pending' || !isOfCart(flow, cart)) continue;
    stockRowOf(ledger, flow).settle(flow.quantity, decision);
    if (decision === 'committed') ledger.setFlow({ ...flow, status: 'deducted' });
    else ledger.deleteFlow(flow);
    isReplay = false;
  }
  return { is: 'applied', replayed: isReplay };
}

function returnUnits(
  ledger: Ledger,
  { sku_id, order_detail_id, return_id, quantity, row = ONLY_ROW }: Return,
): ReturnOutcome | Deferred {
  const flow = ledger.flow({ sku_id, order_detail_id });
  if (flow?.status === 'moved') return { is: 'elsewhere', flows: [pointerTarget(flow)] };
  if ((flow === null || flow.status === 'void') && !isRowOpenAt(ledger, sku_id, row))
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
  const stockRow = stockRowOf(ledger, flow);
  if (!stockRow.hasRoomFor(quantity)) return stockRow.isChanged ? DEFERRED : refused('stock_limit');
  stockRow.addNew(quantity);
  const returned = flow.returned + quantity;
  ledger.setFlow({ ...flow, returned });
  ledger.addReturn({ sku_id, order_detail_id, return_id, quantity });
  return { is: 'returned', replayed: false, returned, returnable: flow.quantity - returned };
}

function adjust(ledger: Ledger, operation: Adjust): AppliedOutcome | Deferred {
  const { sku_id, adjustment_id, delta, reason, row = ONLY_ROW } = operation;
  const existing = ledger.adjusted(sku_id, adjustment_id);
  if (existing !== null)
    return existing === delta ? { is: 'applied', replayed: true } : refused('idempotency_conflict');
  const stockRow = ledger.stockRow(sku_id, row.sub_row);
  if (stockRow === null) return refused('unknown_sku');
  if (!stockRow.isOpenAt(row.epoch)) return { is: 'moved', sku_ids: [sku_id] };
  const credits = openCreditsOf(ledger, operation);
  const fetched = sumUnits(credits.map(({ amount }) => amount));
  // A write-off takes units that are in the row, without the units that carts hold.
  const isRestock = delta > 0;
  const hasRoom = (): boolean => ledger.isWithinLimit(sku_id, delta) && stockRow.hasRoomFor(delta);
  const fits = isRestock ? hasRoom() : stockRow.hasInRow(-delta - fetched);
  if (!fits) {
    if (stockRow.isChanged) return DEFERRED;
    if (isRestock) return refused('stock_limit');
    return { ...refused('insufficient_stock'), leaved_amount: (stockRow.unitsInRow ?? 0) + fetched };
  }
  stockRow.fence(row.epoch);
  for (const credit of credits) enterCredit(ledger, credit);
  if (isRestock) stockRow.addNew(delta);
  else stockRow.writeOff(-delta);
  ledger.addAdjustment({ sku_id, adjustment_id, delta, reason });
  return { is: 'applied', replayed: false };
}

/**
 * Debits a row only in the epoch that was read. Later the row may belong to another layout, or be the only row left.
 */
function send(ledger: Ledger, { sku_id, transfer_id, amount, from, to, epoch }: Send): AppliedOutcome | Deferred {
  const transfer = { sku_id, transfer_id, amount, from, to };
  if (ledger.hasTransfer('out', transfer)) return { is: 'applied', replayed: true };
  const stockRow = stockRowOf(ledger, { sku_id, sub_row: from.sub_row });
  if (epoch !== null && !stockRow.isOpenAt(epoch)) return { is: 'moved', sku_ids: [sku_id] };
  if (!stockRow.has(amount)) return stockRow.isChanged ? DEFERRED : refused('insufficient_stock');
  if (epoch !== null) stockRow.fence(epoch);
  stockRow.sendAway(amount);
  ledger.addTransfer('out', transfer);
  return { is: 'applied', replayed: false };
}

function receiveOnce(ledger: Ledger, { sku_id, transfer_id, amount, from, to }: Receive): AppliedOutcome {
  const transfer = { sku_id, transfer_id, amount, from, to };
  if (ledger.hasTransfer('in', transfer)) return { is: 'applied', replayed: true };
  enterCredit(ledger, transfer);
  return { is: 'applied', replayed: false };
}
