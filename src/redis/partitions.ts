import { slotOf } from '../core/slots.ts';

/**
 * The number of partitions of the keys of SKUs and callers. All keys of a partition have the same hash tag, so a
 * Cluster keeps them on one node and one script reaches them. There are more partitions than nodes, so that every node
 * gets a share.
 */
export const PARTITION_COUNT = 16;

export function partitionOf(id: string): number {
  return slotOf(id) % PARTITION_COUNT;
}

/** The keys of one partition. */
export class PartitionKeys {
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
