import type { FlowKey } from '../../core/types.ts';

/** The most keys that are remembered, a power of two. Of two keys in one place the newer stays. */
const PLACES = 2 ** 18;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Flow keys that were seen lately, by their hash alone: one megabyte for any number of keys, and no work for the
 * garbage collector. It may forget a key, or take one key for another. Both cost the caller one read of the rows.
 */
export class SeenKeys {
  readonly #places = new Int32Array(PLACES);

  has(key: FlowKey): boolean {
    const hash = hashOf(key);
    return this.#places[hash & (PLACES - 1)] === hash;
  }

  add(key: FlowKey): void {
    const hash = hashOf(key);
    this.#places[hash & (PLACES - 1)] = hash;
  }
}

/** FNV-1a over UTF-16 units; never 0, which marks an empty place. */
function hashOf({ sku_id, order_detail_id }: FlowKey): number {
  let hash = FNV_OFFSET;
  for (let place = 0; place < order_detail_id.length; place += 1)
    hash = Math.imul(hash ^ order_detail_id.charCodeAt(place), FNV_PRIME);
  for (let place = 0; place < sku_id.length; place += 1) hash = Math.imul(hash ^ sku_id.charCodeAt(place), FNV_PRIME);
  return hash === 0 ? 1 : hash | 0;
}
