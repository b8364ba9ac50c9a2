import { flowKeyText } from '../../core/types.ts';
import type { Line } from '../../core/types.ts';
import { skusOf } from '../../core/operation.ts';
import type { Deduct } from '../../core/operation.ts';
import type { DeductOutcome } from '../../core/outcome.ts';
import type { Change } from '../connection/commitChange.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { answered, claim } from './claimLines.ts';

/** Takes the stock of an order on one shard. */
export function deduct(operation: Deduct): Change<DeductOutcome> {
  const cart = { order_id: operation.order_id, attempt: 0 };
  /** The outcome of the last attempt, if its COMMIT succeeds. */
  let intended: { fresh: readonly Line[]; outcome: DeductOutcome } | null = null;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const claimed = await claim(transaction, cart, operation.lines, 'deducted');
      if (claimed.is !== 'claimed') return { keep: false, value: claimed };
      const outcome: DeductOutcome = { is: 'deducted', lines: answered(operation.lines, claimed.existing) };
      intended = { fresh: claimed.fresh, outcome };
      return { keep: claimed.fresh.length > 0, value: outcome };
    },

    async resolveInDoubt(transaction) {
      if (intended === null) return null;
      const existing = await lockFlows(transaction, intended.fresh);
      // A line that was cancelled since was deducted nevertheless.
      const isCommitted = intended.fresh.every((line) => {
        const flow = existing.get(flowKeyText(line));
        return (
          flow !== undefined &&
          flow.order_id === cart.order_id &&
          flow.quantity === line.quantity &&
          ['deducted', 'cancelled'].includes(flow.status)
        );
      });
      return isCommitted ? intended.outcome : null;
    },
  };
}
