import type { HotKeyTracker, HotSku } from '../../core/hot/hotKeyTracker.ts';
import { suggestSplit } from '../../core/hot/suggestSplit.ts';

export interface RankedSku extends HotSku {
  /** From 1. */
  readonly rank: number;
  /** Null when one row is enough. */
  readonly sub_rows_suggested: number | null;
}

/**
 * Ranks the SKUs with the most requests, and suggests into how many sub-rows each should be split.
 *
 * @param perRow order lines per second that one row should carry
 */
export function hottestSkus(hotKeys: HotKeyTracker, perRow: number): RankedSku[] {
  return hotKeys
    .hottest()
    .map((sku, index) => ({ rank: index + 1, ...sku, sub_rows_suggested: suggestSplit(sku.lines_per_second, perRow) }));
}
