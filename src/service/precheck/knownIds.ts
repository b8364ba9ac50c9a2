import { hashesOf, IdFilter } from '../../core/idFilter.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { ShelfLooker, Sight } from '../../core/sight.ts';

const IDS_AT_A_TIME = 5_000;
/** A SKU with more flows is asked for at its shard always. */
const IDS_MAX = 2_000_000;

/** The ids that a SKU's flows had at one of its versions, and perhaps some that came later. */
export interface KnownIds {
  readonly version: number;
  /** Null: there are too many, and its shard is always asked. */
  readonly filter: IdFilter | null;
}

/**
 * Reads all ids of a SKU that has nothing left. While it stays at this version nobody is accepted, so whoever is not among them is
 * new; they were all committed before the sight, so whatever is read after it has them.
 *
 * @param shards where it may have flows
 * @throws `LookFailed` when a shard cannot be read
 */
export async function readKnownIds(
  looker: ShelfLooker,
  { sku_id, version }: Sight,
  shards: readonly ShardIndex[],
  deadlineMs: DeadlineMs,
): Promise<KnownIds> {
  const pages: Uint32Array[] = [];
  let count = 0;
  for (const shard of shards) {
    for (let after: string | null = ''; after !== null;) {
      const { ids, next }: { ids: readonly string[]; next: string | null } = await looker.readIds(
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
