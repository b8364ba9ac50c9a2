import { chunksOf } from '../core/async/chunksOf.ts';
import type { StockReading } from '../core/precheck/stockReading.ts';
import { NoAnswer } from './noAnswer.ts';

/** The readings of some SKUs of one partition; SKUs without a reading are missing. */
export type ReadingsBySku = ReadonlyMap<string, StockReading>;

/** The most SKUs in one command; more need several commands. */
const SKUS_MAX = 256;

/** Joins the look-ups of one partition that come in one turn of the event loop into one command. */
export class Lookups {
  readonly #find: (sku_ids: readonly string[]) => Promise<ReadingsBySku>;
  #next: { readonly sku_ids: Set<string>; readonly found: Promise<ReadingsBySku> } | null = null;

  constructor(find: (sku_ids: readonly string[]) => Promise<ReadingsBySku>) {
    this.#find = find;
  }

  /** @returns the readings of these SKUs and of all others requested in the same turn of the event loop */
  add(sku_ids: readonly string[]): Promise<ReadingsBySku> {
    this.#next ??= this.#begin();
    for (const sku_id of sku_ids) this.#next.sku_ids.add(sku_id);
    return this.#next.found;
  }

  #begin(): { sku_ids: Set<string>; found: Promise<ReadingsBySku> } {
    const sku_ids = new Set<string>();
    const found = new Promise<void>((resolve) => void setImmediate(resolve)).then(() => {
      this.#next = null;
      return this.#findAll([...sku_ids]);
    });
    return { sku_ids, found };
  }

  async #findAll(sku_ids: readonly string[]): Promise<ReadingsBySku> {
    const groups = chunksOf(sku_ids, SKUS_MAX);
    const [first, ...others] = await Promise.allSettled(groups.map((group) => this.#find(group)));
    const known = [first, ...others].flatMap((group) => (group?.status === 'fulfilled' ? [...group.value] : []));
    if (first?.status === 'rejected' && known.length === 0)
      throw first.reason instanceof Error ? first.reason : new NoAnswer(String(first.reason));
    return new Map(known);
  }
}
