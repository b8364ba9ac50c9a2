import type { DeadlineMs } from '../../core/nouns.ts';
import type { Adjust } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { applyOperation } from '../applyOperation.ts';
import type { Routed } from '../applyOperation.ts';
import type { Parts } from '../parts.ts';
import { applyFunded } from './applyFunded.ts';
import { onFirstRow } from './placing.ts';

/** Restocks or writes off in the first row of a SKU, split or not; what is to be written off is fetched there, and what comes in goes from there to the others. */
export function adjustHot(parts: Parts, operation: Adjust, deadlineMs: DeadlineMs): Promise<Routed<AppliedOutcome>> {
  return onFirstRow<Routed<AppliedOutcome>>(parts, operation.sku_id, deadlineMs, async (shard, placed) => {
    const layout = parts.hot.layouts.known(operation.sku_id);
    if (layout === null) return applyOperation(parts.engine, shard, operation, deadlineMs);
    return applyFunded(parts, shard, { ...operation, ...placed }, deadlineMs);
  });
}
