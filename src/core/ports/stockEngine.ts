import type { JointOperation, Operation, ShardOperation } from '../operation.ts';
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

  /**
   * The group of a shard. Shards of one group can commit together, because they are on one server; null: the shard
   * commits alone. All gateways sort the names of groups in the same order.
   */
  groupOf(shard: ShardIndex): string | null;

  /**
   * Carries out the parts of one operation on several shards of one group: all of them, or none.
   *
   * @param parts at least one; one for each shard, all of the same kind and the same order
   * @returns one outcome for all parts. Its lines are those of the first part, then those of the second, and so on. A
   *   refusal names the refused lines of all parts.
   * @throws only on a programming error of its own
   */
  applyJointly<O extends JointOperation>(
    parts: readonly ShardOperation<O>[],
    deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>>;
}
