import type { DeadlineMs } from '../core/nouns.ts';
import type { Return } from '../core/operation.ts';
import { refused } from '../core/outcome.ts';
import type { Pending, ReturnOutcome } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { pastHolds } from './freeHolds.ts';
import { onHomes, PAST } from './hot/placing.ts';
import type { Parts } from './parts.ts';

export type ReturnAnswer = Exclude<Routed<ReturnOutcome>, Pending>;

/** Takes back units of a deduction; a cart that is decided is settled first, so that a return right after its answer works. */
export function returnGoods(parts: Parts, operation: Return, deadlineMs: DeadlineMs): Promise<ReturnAnswer> {
  return onHomes<Return, ReturnAnswer>(parts, [operation], deadlineMs, async ([placed]) => {
    if (placed === undefined) throw new Error('a return is about one line');
    const { shard, ...here } = placed;
    const outcome = await pastHolds<ReturnOutcome>(parts, deadlineMs, 0, shard, () =>
      applyOperation(parts.engine, shard, here, deadlineMs),
    );
    // The row may be closed: what comes back there is to be sold from one that is open.
    if (outcome.is === 'returned' && here.row === PAST) await parts.hot.gatherer.level(here.sku_id, deadlineMs);
    return outcome.is === 'pending' ? refused('pending') : outcome;
  });
}
