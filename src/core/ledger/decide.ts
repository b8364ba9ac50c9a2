import type { Flow, FlowKey } from '../nouns.ts';
import type { Adjust, Cancel, Deduct, HoldLines, Return, SettleLines } from '../operation.ts';
import { refused, refusedLines } from '../outcome.ts';
import type { AppliedOutcome, CancelOutcome, OutcomeOf, RefusedLine, ReturnOutcome } from '../outcome.ts';
import { claim, DEFERRED, unitsOf } from './claim.ts';
import type { Deferred, Lacking } from './claim.ts';
import type { Ledger, LedgerFlow } from './ledger.ts';

/** What can ride in a batch. The rest is rare, and has a transaction of its own. */
export type Batchable = Deduct | HoldLines | SettleLines | Return | Cancel | Adjust;

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
  }
}

/** Only what this very attempt holds is touched, so it can be done by anybody and any number of times. */
function settle(ledger: Ledger, { order_id, attempt, verdict, lines }: SettleLines): AppliedOutcome {
  let isReplay = true;
  for (const line of lines) {
    // Whatever stands there: the attempt holds nothing any more, and a stray note of a hold would be met for ever.
    ledger.strikeOut({ ...line, order_id, attempt });
    const flow = ledger.flow(line);
    const isOwn = flow?.order_id === order_id;
    if (flow === null && verdict === 'aborted') {
      // So that a late hold finds that it is late.
      ledger.setFlow({ ...line, order_id, attempt, returned: 0, status: 'void' });
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

function giveBack(ledger: Ledger, { sku_id, order_detail_id, return_id, quantity }: Return): ReturnOutcome | Deferred {
  const flow = ledger.flow({ sku_id, order_detail_id });
  if (flow === null || flow.status === 'void' || flow.quantity === 0) return refused('unknown_deduction');
  if (flow.status === 'pending') return { is: 'pending', holds: [flow] };
  const earlier = ledger.returned(flow, return_id);
  const returnable = flow.quantity - flow.returned;
  if (earlier !== null) {
    return earlier === quantity ? { is: 'returned', replayed: true, returned: flow.returned, returnable } : refused('idempotency_conflict');
  }
  if (quantity > returnable) return { ...refused('over_return'), returnable };
  const shelf = shelfOf(ledger, flow);
  if (!shelf.hasRoomFor(quantity)) return shelf.isChanged ? DEFERRED : refused('stock_limit');
  shelf.add(quantity);
  const returned = flow.returned + quantity;
  ledger.setFlow({ ...flow, returned });
  ledger.addReturn({ sku_id, order_detail_id, return_id, quantity });
  return { is: 'returned', replayed: false, returned, returnable: flow.quantity - returned };
}

function cancel(ledger: Ledger, { order_id, lines }: Cancel): CancelOutcome | Deferred {
  const standing = lines.map((key) => ({ key, flow: ledger.flow(key) }));
  const flows = standing.flatMap(({ flow }) => flow ?? []);
  const foreign = flows.filter((flow) => flow.order_id !== order_id && (flow.status === 'deducted' || flow.status === 'cancelled'));
  if (foreign.length > 0) return refusedLines(foreign.map(conflictOf));
  const held = flows.filter(({ status }) => status === 'pending');
  if (held.length > 0) return { is: 'pending', holds: held };
  if (standing.every(({ flow }) => flow?.status === 'cancelled')) return { is: 'applied', replayed: true };
  // A tombstone has no rest, and perhaps no SKU.
  const rests = unitsOf(flows.filter((flow) => restOf(flow) > 0).map((flow) => ({ ...flow, quantity: restOf(flow) })));
  for (const { sku_id, units } of rests) {
    const shelf = shelfOf(ledger, { sku_id });
    if (!shelf.hasRoomFor(units)) return shelf.isChanged ? DEFERRED : refused('stock_limit');
  }
  for (const { key, flow } of standing) bury(ledger, order_id, key, flow);
  for (const { sku_id, units } of rests) shelfOf(ledger, { sku_id }).add(units);
  return { is: 'applied', replayed: false };
}

/** The rest goes back; what was never deducted becomes a tombstone. */
function bury(ledger: Ledger, order_id: string, { sku_id, order_detail_id }: FlowKey, flow: LedgerFlow | null): void {
  if (flow?.status === 'cancelled') return;
  if (flow === null || flow.status === 'void') {
    ledger.setFlow({ sku_id, order_detail_id, order_id, attempt: flow?.attempt ?? 0, quantity: 0, returned: 0, status: 'cancelled' });
    return;
  }
  const rest = restOf(flow);
  ledger.setFlow({ ...flow, order_id, returned: flow.quantity, status: 'cancelled' });
  if (rest > 0) ledger.addReturn({ sku_id, order_detail_id, return_id: CANCELLATION, quantity: rest });
}

function adjust(ledger: Ledger, { sku_id, adjustment_id, delta, reason }: Adjust): AppliedOutcome | Deferred {
  const standing = ledger.adjusted(sku_id, adjustment_id);
  if (standing !== null) return standing === delta ? { is: 'applied', replayed: true } : refused('idempotency_conflict');
  const shelf = ledger.shelf(sku_id);
  if (shelf === null) return refused('unknown_sku');
  // What carts hold is not on the shelf: whoever writes off counts what lies there.
  if (!(delta > 0 ? shelf.hasRoomFor(delta) : shelf.has(-delta))) {
    if (shelf.isChanged) return DEFERRED;
    return refused(delta > 0 ? 'stock_limit' : 'insufficient_stock');
  }
  if (delta > 0) shelf.add(delta);
  else shelf.writeOff(-delta);
  ledger.addAdjustment({ sku_id, adjustment_id, delta, reason });
  return { is: 'applied', replayed: false };
}

function shelfOf(ledger: Ledger, { sku_id }: { readonly sku_id: string }) {
  const shelf = ledger.shelf(sku_id);
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
