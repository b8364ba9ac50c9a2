import type { NotDone, OutcomeInDoubt, ReadFailure } from '../outcome.ts';
import type { DeadlineMs, OrderTransaction, ShardIndex } from '../types.ts';
import type { FoundCartState } from './cartRecords.ts';

/** Aborted records that were deleted. */
export interface DeletedRecords {
  readonly is: 'deleted';
  readonly count: number;
}

/**
 * The records of transactions, on the shards that coordinate them. The engine writes the record of a committed
 * transaction together with the lines of its coordinator: its insert is the decision.
 */
export interface OrderRecords {
  /** Names a new transaction. Nothing is written. */
  begin(coordinator: ShardIndex): OrderTransaction;

  /**
   * Whether orders over these shards may use transactions: all of them exclude gateways that could not complete their
   * holds, and those gateways had time to stop.
   */
  areUsable(shards: readonly ShardIndex[]): boolean;

  /**
   * Finds how a transaction was decided, for callers other than its coordinator. A transaction without a record that is
   * too old for a decision is recorded as aborted, so that a late decision fails.
   */
  resolve(
    transaction: OrderTransaction,
    order_id: string,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | OutcomeInDoubt>;

  /** Deletes aborted records a minute after they were written. No decision can come that late. */
  deleteAborted(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<DeletedRecords | ReadFailure>;
}
