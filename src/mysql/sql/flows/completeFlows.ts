import type { FlowKey, CommitDecision } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { anyOf, keyValues } from './flowKeys.ts';
import { FLOW_STATUS } from './insertFlows.ts';

/**
 * Turns held flows into deductions, or voids them. Their rows must be locked and their attempt known.
 *
 * @param keys at least one
 */
export async function completeFlows(
  transaction: Transaction,
  keys: readonly FlowKey[],
  decision: CommitDecision,
): Promise<void> {
  const status = decision === 'committed' ? FLOW_STATUS.deducted : FLOW_STATUS.void;
  await transaction.run(
    `UPDATE flow FORCE INDEX (PRIMARY) SET status = ? WHERE ${anyOf(keys)} AND status = 'pending'`,
    [status, ...keyValues(keys)],
  );
}
