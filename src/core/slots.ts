import murmurhash from 'murmurhash';
import type { ShardIndex } from './types.ts';
import type { SlotClaim } from './ports/slotSource.ts';

/** The key space has this many slots, and the number never changes: moving a slot moves its SKUs, without a rehash. */
export const SLOT_COUNT = 1_024;

/**
 * The version of the function `slotOf`. Every shard stores the version that its rows were placed with, and a gateway
 * with another version does not use the shard. Raise it only together with a plan to move every SKU.
 */
export const HASH_VERSION = 1;

const SEED = 0;

/** The slot of a SKU: murmur3 (x86, 32 bit, seed 0) of the UTF-8 bytes of the id, modulo 1,024. */
export function slotOf(sku_id: string): number {
  return murmurhash.v3(Buffer.from(sku_id, 'utf8'), SEED) % SLOT_COUNT;
}

/** The first owner of a slot, when there were `initialShards` shards. */
export function initialOwner(slot: number, initialShards: number): ShardIndex {
  return slot % initialShards;
}

/** The first slots of a shard; none for a shard that joined later. */
export function initialSlots(shard: ShardIndex, initialShards: number): number[] {
  const slots: number[] = [];
  if (shard < initialShards) for (let slot = shard; slot < SLOT_COUNT; slot += initialShards) slots.push(slot);
  return slots;
}

/**
 * The gateway's map from slots to their owners. It may be stale. A shard rejects operations on slots that it does not
 * own, and then the gateway reads the map from the shards again.
 */
export class SlotMap {
  readonly #owners: ShardIndex[] = [];
  readonly #epochs: number[] = [];

  constructor(initialShards: number) {
    for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
      this.#owners.push(initialOwner(slot, initialShards));
      this.#epochs.push(0);
    }
  }

  ownerOf(slot: number): ShardIndex {
    const owner = this.#owners[slot];
    if (owner === undefined) throw new RangeError(`slot ${slot} is not below ${SLOT_COUNT}`);
    return owner;
  }

  shardOf(sku_id: string): ShardIndex {
    return this.ownerOf(slotOf(sku_id));
  }

  /** The number of slots of each shard. Shards without slots are left out. */
  slotCounts(): Map<ShardIndex, number> {
    const counts = new Map<ShardIndex, number>();
    for (const owner of this.#owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return counts;
  }

  /** Records the claims of a shard. A claim with an older epoch than the recorded one changes nothing. */
  learn(shard: ShardIndex, claims: readonly SlotClaim[]): void {
    for (const { slot, epoch } of claims) {
      const known = this.#epochs[slot];
      if (known === undefined || epoch < known) continue;
      this.#owners[slot] = shard;
      this.#epochs[slot] = epoch;
    }
  }
}
