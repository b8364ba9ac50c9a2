import type { Sight } from '../core/sight.ts';
import { NoAnswer } from './failures.ts';

/** What is known of some SKUs of one lane; SKUs of which nothing is known are missing. */
export type Known = ReadonlyMap<string, Sight>;

/** SKUs in one command; more are several commands. */
const SKUS_MAX = 256;

/** Joins the lookups of one lane that come in one tick to one command. */
export class Lookups {
  readonly #find: (sku_ids: readonly string[]) => Promise<Known>;
  #next: { readonly sku_ids: Set<string>; readonly found: Promise<Known> } | null = null;

  constructor(find: (sku_ids: readonly string[]) => Promise<Known>) {
    this.#find = find;
  }

  /** @returns what is known of these, and of what others asked for at the same time */
  add(sku_ids: readonly string[]): Promise<Known> {
    this.#next ??= this.#begin();
    for (const sku_id of sku_ids) this.#next.sku_ids.add(sku_id);
    return this.#next.found;
  }

  #begin(): { sku_ids: Set<string>; found: Promise<Known> } {
    const sku_ids = new Set<string>();
    const found = new Promise<void>((resolve) => void setImmediate(resolve)).then(() => {
      this.#next = null;
      return this.#findAll([...sku_ids]);
    });
    return { sku_ids, found };
  }

  async #findAll(sku_ids: readonly string[]): Promise<Known> {
    const groups = inGroups(sku_ids, SKUS_MAX);
    const [first, ...others] = await Promise.allSettled(groups.map((group) => this.#find(group)));
    const known = [first, ...others].flatMap((part) => (part?.status === 'fulfilled' ? [...part.value] : []));
    if (first?.status === 'rejected' && known.length === 0)
      throw first.reason instanceof Error ? first.reason : new NoAnswer(String(first.reason));
    return new Map(known);
  }
}

/** Cuts a list into lists of at most so many. */
export function inGroups<T>(things: readonly T[], most: number): T[][] {
  const groups: T[][] = [];
  for (let first = 0; first < things.length; first += most) groups.push(things.slice(first, first + most));
  return groups;
}
