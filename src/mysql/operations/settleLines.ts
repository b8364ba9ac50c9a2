import { flowKeyText } from '../../core/nouns.ts';
import type { Flow, Line } from '../../core/nouns.ts';
import { skusOf } from '../../core/operation.ts';
import type { SettleLines } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { Raced } from '../failures.ts';
import type { Change } from '../settle.ts';
import { deleteHolds } from '../sql/holds.ts';
import { insertFlows } from '../sql/insertFlows.ts';
import { lockFlows } from '../sql/lockFlows.ts';
import { ownSlots } from '../sql/ownSlots.ts';
import { raiseFences } from '../sql/raiseFences.ts';
import { settleFlows } from '../sql/settleFlows.ts';
import { settleStock } from '../sql/settleStock.ts';
import type { Transaction } from '../transaction.ts';
import { inOrderOfBytes, unitsOf } from './claim.ts';

/**
 * Carries out a cart's verdict on one shard: only what this very attempt holds is touched, so it can be done by anybody
 * and any number of times. An aborted cart's lines that are not held yet get a void flow, so that a late hold finds that
 * it is late.
 */
export function settleLines(operation: SettleLines): Change<AppliedOutcome> {
  const lines = inOrderOfBytes(operation.lines);
  const isOfAttempt = (flow: Flow | undefined): boolean =>
    flow?.status === 'pending' && flow.order_id === operation.order_id && flow.attempt === operation.attempt;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const standing = await lockFlows(transaction, lines, 'update');
      const held = lines
        .map((line) => standing.get(flowKeyText(line)))
        .filter((flow): flow is Flow => isOfAttempt(flow));
      const missing = operation.verdict === 'aborted' ? lines.filter((line) => !standing.has(flowKeyText(line))) : [];
      const outdated =
        operation.verdict === 'aborted'
          ? [...standing.values()].filter((flow) => isOutdatedFence(flow, operation))
          : [];
      const changes = held.length + missing.length + outdated.length;
      await fence(transaction, operation, missing);
      if (outdated.length > 0) await raiseFences(transaction, operation, outdated);
      if (held.length > 0) await settleFlows(transaction, held, operation.verdict);
      // Also where nothing is held: a row that names this attempt there would be met for ever.
      const struck = await deleteHolds(transaction, operation, lines);
      if (held.length > 0 && !(await settleStock(transaction, unitsOf(held), operation.verdict)))
        throw new Error('a SKU has flows and no stock row');
      return { keep: changes + struck > 0, value: { is: 'applied', replayed: changes === 0 } };
    },

    async recall(transaction) {
      const standing = await lockFlows(transaction, lines);
      const isUndone = lines.some((line) => {
        const flow = standing.get(flowKeyText(line));
        return (
          isOfAttempt(flow) ||
          (operation.verdict === 'aborted' && (flow === undefined || isOutdatedFence(flow, operation)))
        );
      });
      return isUndone ? null : { is: 'applied', replayed: false };
    },
  };
}

/** An undone hold of an earlier attempt lets this one's late hold through. */
function isOutdatedFence(flow: Flow, { order_id, attempt }: SettleLines): boolean {
  return flow.status === 'void' && flow.order_id === order_id && flow.attempt < attempt;
}

async function fence(transaction: Transaction, operation: SettleLines, missing: readonly Line[]): Promise<void> {
  if (missing.length === 0) return;
  if (!(await insertFlows(transaction, operation, missing, 'void')))
    throw new Raced('a hold came between two statements');
}
