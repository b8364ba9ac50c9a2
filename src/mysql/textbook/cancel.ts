import { flowKeyText } from '../../core/types.ts';
import type { Flow, FlowKey, Hold, Line } from '../../core/types.ts';
import { skusOf } from '../../core/operation.ts';
import type { Cancel } from '../../core/operation.ts';
import { refused, refusedLines } from '../../core/outcome.ts';
import type { CancelOutcome, RefusedLine } from '../../core/outcome.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { addStock } from '../sql/stock/addStock.ts';
import { CANCELLATION, cancelFlows, insertReturns } from '../sql/flows/returnFlows.ts';
import { insertFlows } from '../sql/flows/insertFlows.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import type { Transaction } from '../connection/transaction.ts';
import { inOrderOfBytes, unitsOf } from './claimLines.ts';

/**
 * Returns the rest of an order's lines on one shard. A line that does not exist, or whose hold was undone, becomes a
 * tombstone: a deduction that arrives late finds its ids taken.
 */
export function cancel(operation: Cancel): Change<CancelOutcome> {
  const { order_id } = operation;
  const keys = inOrderOfBytes(operation.lines);

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const existing = await lockFlows(transaction, keys, 'update');
      const flows = keys.flatMap((key) => existing.get(flowKeyText(key)) ?? []);
      const asGiven = operation.lines.flatMap((key) => existing.get(flowKeyText(key)) ?? []);
      const foreign = asGiven.filter(
        (flow) => flow.order_id !== order_id && (flow.status === 'deducted' || flow.status === 'cancelled'),
      );
      if (foreign.length > 0) return { keep: false, value: refusedLines(foreign.map(conflictOf)) };
      const held = flows.filter((flow): flow is Flow & Hold => flow.status === 'pending');
      if (held.length > 0) return { keep: false, value: { is: 'pending', holds: held } };
      const absent = keys.filter((key) => !existing.has(flowKeyText(key)));
      const changed = flows.filter(({ status }) => status !== 'cancelled');
      if (absent.length === 0 && changed.length === 0) return { keep: false, value: { is: 'applied', replayed: true } };
      await insertTombstones(transaction, order_id, absent);
      if (!(await giveBackRests(transaction, order_id, changed))) return { keep: false, value: refused('stock_limit') };
      return { keep: true, value: { is: 'applied', replayed: false } };
    },

    async resolveInDoubt(transaction) {
      const existing = await lockFlows(transaction, keys);
      const done = keys.every((key) => {
        const flow = existing.get(flowKeyText(key));
        return flow?.status === 'cancelled' && flow.order_id === order_id;
      });
      return done ? { is: 'applied', replayed: false } : null;
    },
  };
}

async function insertTombstones(transaction: Transaction, order_id: string, absent: readonly FlowKey[]): Promise<void> {
  if (absent.length === 0) return;
  const tombstones = absent.map(({ sku_id, order_detail_id }): Line => ({ sku_id, order_detail_id, quantity: 0 }));
  if (!(await insertFlows(transaction, { order_id, attempt: 0 }, tombstones, 'cancelled'))) {
    throw new Raced('a deduction came between two statements');
  }
}

/** @returns false when a stock row has no room for the units that come back */
async function giveBackRests(transaction: Transaction, order_id: string, flows: readonly Flow[]): Promise<boolean> {
  if (flows.length === 0) return true;
  const rests = flows.map((flow) => ({ ...flow, quantity: restOf(flow) })).filter(({ quantity }) => quantity > 0);
  if (rests.length > 0 && !(await insertReturns(transaction, rests, CANCELLATION)))
    throw new Raced('another cancellation came between two statements');
  if (!(await cancelFlows(transaction, flows, order_id))) throw new Raced('a flow changed between two statements');
  return rests.length === 0 || addStock(transaction, unitsOf(rests));
}

/** The units of an undone hold went back when it was undone. */
function restOf(flow: Flow): number {
  return flow.status === 'void' ? 0 : flow.quantity - flow.returned;
}

function conflictOf({ sku_id, order_detail_id, quantity }: Flow): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'idempotency_conflict' };
}
