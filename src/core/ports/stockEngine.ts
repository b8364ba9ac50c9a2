import type { Operation } from '../operation.ts';
import type { OutcomeOf } from '../outcome.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/**
 * An engine: code that can deduct. The batching engine, the textbook engine and the in-memory oracle implement it. One
 * conformance suite (`test/orders/conformance.test.ts`) runs over all of them.
 */
export interface StockEngine {
  /**
   * Carries out operations on one shard. Each operation is all or nothing by itself.
   *
   * @param shard the shard that owns the slots of all named SKUs, according to the caller's slot map.
   * @param operations independent operations; they may be carried out in any order.
   * @param deadlineMs the time when the callers stop waiting; later no work is begun.
   * @returns one outcome per operation, in the order of the operations.
   * @throws only on a programming error of its own
   */
  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]>;
}
