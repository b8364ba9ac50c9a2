import { flowKeyText } from '../../core/types.ts';
import type { Flow, Line } from '../../core/types.ts';
import { skusOf } from '../../core/operation.ts';
import type { CompleteLines } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { deleteHolds } from '../sql/flows/holds.ts';
import { insertFlows } from '../sql/flows/insertFlows.ts';
import { lockFlows } from '../sql/flows/lockFlows.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { raiseVoidAttempts } from '../sql/flows/raiseVoidAttempts.ts';
import { completeFlows } from '../sql/flows/completeFlows.ts';
import { completeStock } from '../sql/stock/completeStock.ts';
import type { Transaction } from '../connection/transaction.ts';
import { inOrderOfBytes, unitsOf } from './claimLines.ts';

/**
 * Completes a cart on one shard after its commit decision. It changes only holds of this attempt, so any gateway can do
 * it, any number of times. Lines of an aborted cart that are not held yet get a void flow, so that a late hold finds
 * that it is late.
 */
export function completeLines(operation: CompleteLines): Change<AppliedOutcome> {
  const lines = inOrderOfBytes(operation.lines);
  const isOfAttempt = (flow: Flow | undefined): boolean =>
    flow?.status === 'pending' && flow.order_id === operation.order_id && flow.attempt === operation.attempt;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const existing = await lockFlows(transaction, lines, 'update');
      const held = lines
        .map((line) => existing.get(flowKeyText(line)))
        .filter((flow): flow is Flow => isOfAttempt(flow));
      const missing = operation.decision === 'aborted' ? lines.filter((line) => !existing.has(flowKeyText(line))) : [];
      const outdated =
        operation.decision === 'aborted'
          ? [...existing.values()].filter((flow) => isOutdatedFence(flow, operation))
          : [];
      const changes = held.length + missing.length + outdated.length;
      await insertFences(transaction, operation, missing);
      if (outdated.length > 0) await raiseVoidAttempts(transaction, operation, outdated);
      if (held.length > 0) await completeFlows(transaction, held, operation.decision);
      // Also if nothing is held: a row of this attempt would otherwise be found again and again.
      const deleted = await deleteHolds(transaction, operation, lines);
      if (held.length > 0 && !(await completeStock(transaction, unitsOf(held), operation.decision)))
        throw new Error('a SKU has flows but no stock row');
      return { keep: changes + deleted > 0, value: { is: 'applied', replayed: changes === 0 } };
    },

    async resolveInDoubt(transaction) {
      const existing = await lockFlows(transaction, lines);
      const isUndone = lines.some((line) => {
        const flow = existing.get(flowKeyText(line));
        return (
          isOfAttempt(flow) ||
          (operation.decision === 'aborted' && (flow === undefined || isOutdatedFence(flow, operation)))
        );
      });
      return isUndone ? null : { is: 'applied', replayed: false };
    },
  };
}

/** Whether a void flow of an earlier attempt would let a late hold of this attempt through. */
function isOutdatedFence(flow: Flow, { order_id, attempt }: CompleteLines): boolean {
  return flow.status === 'void' && flow.order_id === order_id && flow.attempt < attempt;
}

async function insertFences(
  transaction: Transaction,
  operation: CompleteLines,
  missing: readonly Line[],
): Promise<void> {
  if (missing.length === 0) return;
  if (!(await insertFlows(transaction, operation, missing, 'void')))
    throw new Raced('a hold came between two statements');
}
