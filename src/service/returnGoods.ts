import type { DeadlineMs } from '../core/nouns.ts';
import type { Return } from '../core/operation.ts';
import { refused } from '../core/outcome.ts';
import type { Pending, ReturnOutcome } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { pastHolds } from './freeHolds.ts';
import type { Parts } from './parts.ts';

export type ReturnAnswer = Exclude<Routed<ReturnOutcome>, Pending>;

/** Takes back units of a deduction; a cart that is decided is settled first, so that a return right after its answer works. */
export function returnGoods(parts: Parts, operation: Return, deadlineMs: DeadlineMs): Promise<ReturnAnswer> {
  return parts.routing.onOwners<ReturnAnswer>(async (map) => {
    const outcome = await pastHolds<ReturnOutcome>(parts, deadlineMs, 0, () =>
      applyOperation(parts.engine, map.shardOf(operation.sku_id), operation, deadlineMs),
    );
    return outcome.is === 'pending' ? refused('pending') : outcome;
  });
}
