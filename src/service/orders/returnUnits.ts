import type { DeadlineMs } from '../../core/types.ts';
import type { Return } from '../../core/operation.ts';
import { refused } from '../../core/outcome.ts';
import type { BlockedByHolds, ReturnOutcome } from '../../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { completeBlockingHolds } from '../carts/completeHolds.ts';
import { withRouting, EXISTING_IDS_ONLY } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';

export type ReturnAnswer = Exclude<Routed<ReturnOutcome>, BlockedByHolds>;

/**
 * Takes back units of a deduction. The holds of a decided cart are completed first, so that a return directly after the
 * answer of the cart succeeds.
 */
export function returnUnits(ports: ServicePorts, operation: Return, deadlineMs: DeadlineMs): Promise<ReturnAnswer> {
  return withRouting<Return, ReturnAnswer>(ports, [operation], deadlineMs, async ([routed]) => {
    if (routed === undefined) throw new Error('a return has one line');
    const { shard, ...toRow } = routed;
    const outcome = await completeBlockingHolds<ReturnOutcome>(ports, deadlineMs, 0, shard, () =>
      applyOperation(ports.engine, shard, toRow, deadlineMs),
    );
    // The row may be closed: the units must move to an open row to be sold.
    if (outcome.is === 'returned' && toRow.row === EXISTING_IDS_ONLY)
      await ports.hot.rebalancer.rebalance(toRow.sku_id, deadlineMs);
    return outcome.is === 'pending' ? refused('pending') : outcome;
  });
}
