import type { KeyWithRow } from '../operation.ts';
import type { FoundFlows, FoundStock, Misrouted, NotDone, ReadFailure } from '../outcome.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** Reads from the shard's primary. A result was true at some moment between the call and the answer. */
export interface StockReader {
  /** Reads flows. Waits for each transaction that is still in doubt about one of them. `keys` must not be empty. */
  findFlows(
    shard: ShardIndex,
    keys: readonly KeyWithRow[],
    deadlineMs: DeadlineMs,
  ): Promise<FoundFlows | NotDone | Misrouted>;

  /** Reads the units left of one SKU, and whether it is on sale. */
  readStock(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure>;
}
