import type { DeadlineMs, ShardIndex, StockRow } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { StockReader } from '../core/ports.ts';
import type { Routing } from './routing.ts';

/** What is left of a SKU, and where. */
export interface SkuStock {
  readonly is: 'found';
  readonly shard: ShardIndex;
  /** None for an unknown SKU. */
  readonly rows: readonly StockRow[];
}

/** Reads what is left of a SKU from its primary. */
export function readSku(
  parts: { readonly routing: Routing; readonly reader: StockReader },
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<SkuStock | NotDone> {
  return parts.routing.onOwners<SkuStock | NotDone>(async (map) => {
    const shard = map.shardOf(sku_id);
    const answer = await parts.reader.readStock(shard, sku_id, deadlineMs);
    return answer.is === 'found' ? { ...answer, shard } : answer;
  });
}
