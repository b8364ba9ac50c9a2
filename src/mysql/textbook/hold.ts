import { flowKeyText } from '../../core/types.ts';
import type { Line } from '../../core/types.ts';
import { skusOf } from '../../core/operation.ts';
import type { HoldLines } from '../../core/operation.ts';
import type { HoldOutcome } from '../../core/outcome.ts';
import { idStatusOf } from '../../core/idStatus.ts';
import type { Change } from '../connection/commitChange.ts';
import { insertHolds } from '../sql/flows/holds.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { answered, claim } from './claimLines.ts';

/** Holds the stock of a cart's lines on one shard. The same attempt, repeated, finds its holds and adds nothing. */
export function hold(operation: HoldLines): Change<HoldOutcome> {
  /** The outcome of the last attempt, if its COMMIT succeeds. */
  let intended: { fresh: readonly Line[]; outcome: HoldOutcome } | null = null;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const claimed = await claim(transaction, operation, operation.lines, 'pending');
      if (claimed.is !== 'claimed') return { keep: false, value: claimed };
      if (claimed.fresh.length > 0) await insertHolds(transaction, operation, claimed.fresh);
      const outcome: HoldOutcome = { is: 'held', lines: answered(operation.lines, claimed.existing) };
      intended = { fresh: claimed.fresh, outcome };
      return { keep: claimed.fresh.length > 0, value: outcome };
    },

    async resolveInDoubt(transaction) {
      if (intended === null) return null;
      const existing = await lockFlows(transaction, intended.fresh);
      const isCommitted = intended.fresh.every((line) => {
        const flow = existing.get(flowKeyText(line));
        return flow !== undefined && idStatusOf(operation, line, flow) === 'replay';
      });
      return isCommitted ? intended.outcome : null;
    },
  };
}
