import { slotOf } from '../core/slots.ts';

/**
 * SKUs and callers are spread over so many parts of the keys. All keys of one part have one hash tag, so a Cluster has them on one node and
 * one script reaches them; and as there are many parts, all nodes get their share.
 */
export const PART_COUNT = 16;

export function partOf(id: string): number {
  return slotOf(id) % PART_COUNT;
}

/** The keys of one part. */
export class PartKeys {
  readonly #tag: string;
  readonly era: string;

  constructor(prefix: string, part: number) {
    this.#tag = `{${prefix}:${String(part).padStart(2, '0')}}`;
    this.era = `${this.#tag}:era`;
  }

  ofSku(sku_id: string): string {
    return `${this.#tag}:sku:${sku_id}`;
  }

  ofCaller(caller: string): string {
    return `${this.#tag}:bucket:${caller}`;
  }
}
