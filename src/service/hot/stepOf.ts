import type { DeadlineMs, RowPlace } from '../../core/types.ts';
import type { PendingStockRequest } from './stockRequest.ts';

/** For one read or write. A shard that takes longer is not waited for. */
const STEP_MS = 1_000;

/** The deadline of one step of a round: that of the most patient request, and 1 s at most. */
export function stepOf(requests: readonly PendingStockRequest[]): DeadlineMs {
  return Math.min(performance.now() + STEP_MS, Math.max(...requests.map(({ deadlineMs }) => deadlineMs)));
}

/** The row of a request that only reads: no units go there. */
export const NOWHERE: RowPlace = { shard: 0, sub_row: 0 };
