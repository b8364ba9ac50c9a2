import type { DeadlineMs } from '../../core/types.ts';
import type { Adjust } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import type { Routed } from '../orders/applyOperation.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { applyWithTransfers } from './applyWithTransfers.ts';
import { withFirstRow } from '../routing/lineRouter.ts';

/**
 * Restocks or writes off in the first row of a SKU, split or not. Units to be written off are fetched there from the
 * other rows, and units that come in are moved from there to the others.
 */
export function adjustHot(
  ports: ServicePorts,
  operation: Adjust,
  deadlineMs: DeadlineMs,
): Promise<Routed<AppliedOutcome>> {
  return withFirstRow<Routed<AppliedOutcome>>(ports, operation.sku_id, deadlineMs, async (shard, routed) => {
    const layout = ports.hot.layouts.cached(operation.sku_id);
    if (layout === null) return applyOperation(ports.engine, shard, operation, deadlineMs);
    return applyWithTransfers(ports, shard, { ...operation, ...routed }, deadlineMs);
  });
}
