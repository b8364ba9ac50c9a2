import { hashesOf, IdFilter } from '../../core/precheck/idFilter.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { StockRowsReader } from '../../core/ports/stockRowsReader.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';

const IDS_AT_A_TIME = 5_000;
/** The orders for a SKU with more flows always go to its shard. */
const IDS_MAX = 2_000_000;

/** All ids that the flows of a SKU had at one version, and perhaps some later ones. */
export interface ReplayIds {
  readonly version: number;
  /** Null: there are too many ids, and orders always go to the shard. */
  readonly filter: IdFilter | null;
}

/**
 * Reads all ids of a SKU that has no units left. While the SKU stays at this version, no order is accepted, so an id
 * that is not among them is new. All these ids were committed before the stock reading, so a read after it finds them.
 *
 * @param shards the shards where the SKU may have flows
 * @throws `LookFailed` when a shard cannot be read
 */
export async function readReplayIds(
  stockReader: StockRowsReader,
  { sku_id, version }: StockReading,
  shards: readonly ShardIndex[],
  deadlineMs: DeadlineMs,
): Promise<ReplayIds> {
  const pages: Uint32Array[] = [];
  let count = 0;
  for (const shard of shards) {
    for (let after: string | null = ''; after !== null;) {
      const { ids, next }: { ids: readonly string[]; next: string | null } = await stockReader.readIds(
        shard,
        sku_id,
        after,
        IDS_AT_A_TIME,
        deadlineMs,
      );
      pages.push(hashesOf(ids));
      count += ids.length;
      if (count > IDS_MAX) return { version, filter: null };
      after = next;
    }
  }
  return { version, filter: IdFilter.of(pages) };
}
