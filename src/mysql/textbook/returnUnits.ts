import { flowKeyText } from '../../core/types.ts';
import type { Flow } from '../../core/types.ts';
import { skusOf } from '../../core/operation.ts';
import type { Return } from '../../core/operation.ts';
import { refused } from '../../core/outcome.ts';
import type { ReturnOutcome } from '../../core/outcome.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { addStock } from '../sql/stock/addStock.ts';
import { countReturned, insertReturns, lockReturn } from '../sql/flows/returnFlows.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import type { Transaction } from '../connection/transaction.ts';

/** Takes back units of a deduction, once per return id, never more than were deducted. */
export function returnUnits(operation: Return): Change<ReturnOutcome> {
  const { sku_id, return_id, quantity } = operation;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const flow = await lockFlow(transaction, operation);
      if (flow === null || flow.status === 'void' || flow.quantity === 0)
        return { keep: false, value: refused('unknown_deduction') };
      if (flow.status === 'pending') return { keep: false, value: { is: 'pending', holds: [flow] } };
      const earlier = await lockReturn(transaction, operation, return_id);
      if (earlier !== null) {
        return { keep: false, value: earlier === quantity ? returned(flow, 0, true) : refused('idempotency_conflict') };
      }
      const returnable = flow.quantity - flow.returned;
      if (quantity > returnable) return { keep: false, value: { ...refused('over_return'), returnable } };
      if (!(await insertReturns(transaction, [operation], return_id)))
        throw new Raced('the return came between two statements');
      // The statement checks the condition too: a program that miscounts must not give back what was never sold.
      if (!(await countReturned(transaction, operation, quantity)))
        throw new Raced('another return came between two statements');
      if (!(await addStock(transaction, new Map([[sku_id, quantity]]))))
        return { keep: false, value: refused('stock_limit') };
      return { keep: true, value: returned(flow, quantity, false) };
    },

    async resolveInDoubt(transaction) {
      const flow = await lockFlow(transaction, operation);
      const earlier = await lockReturn(transaction, operation, return_id);
      return flow !== null && earlier === quantity ? returned(flow, 0, false) : null;
    },
  };
}

async function lockFlow(transaction: Transaction, operation: Return): Promise<Flow | null> {
  return (await lockFlows(transaction, [operation], 'update')).get(flowKeyText(operation)) ?? null;
}

/** @param more units that come back besides those that the flow counts already */
function returned(flow: Flow, more: number, replayed: boolean): ReturnOutcome {
  const units = flow.returned + more;
  return { is: 'returned', replayed, returned: units, returnable: flow.quantity - units };
}
