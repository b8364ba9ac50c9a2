import murmurhash from 'murmurhash';
import type { ShardIndex } from './nouns.ts';
import type { SlotClaim } from './ports.ts';

/** The key space is cut into this many slots, for good: moving a slot moves its SKUs, and no SKU is ever rehashed. */
export const SLOT_COUNT = 1_024;

/**
 * Names the function of `slotOf`. Every shard keeps the version it was filled with, and a gateway that hashes
 * differently does not touch it. Raise it only together with a plan to move every SKU.
 */
export const HASH_VERSION = 1;

const SEED = 0;

/** The slot of a SKU: murmur3 (x86, 32 bit, seed 0) of the UTF-8 bytes of the id, modulo 1,024. */
export function slotOf(sku_id: string): number {
  return murmurhash.v3(Buffer.from(sku_id, 'utf8'), SEED) % SLOT_COUNT;
}

/** The shard a slot was dealt to when there were `initialShards` shards, before any move. */
export function initialOwner(slot: number, initialShards: number): ShardIndex {
  return slot % initialShards;
}

/** The slots dealt to a shard at first; none to a shard that joined later. */
export function initialSlots(shard: ShardIndex, initialShards: number): number[] {
  const slots: number[] = [];
  if (shard < initialShards) for (let slot = shard; slot < SLOT_COUNT; slot += initialShards) slots.push(slot);
  return slots;
}

/**
 * Which shard owns which slot, as far as this gateway knows. It may be stale: the shard itself refuses what is not its
 * own, and the map is then read again from the shards.
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

  /** How many slots each shard owns, by shard; shards without slots are missing. */
  slotCounts(): Map<ShardIndex, number> {
    const counts = new Map<ShardIndex, number>();
    for (const owner of this.#owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return counts;
  }

  /** Takes over what a shard claims; a claim with an older epoch than the one known changes nothing. */
  learn(shard: ShardIndex, claims: readonly SlotClaim[]): void {
    for (const { slot, epoch } of claims) {
      const known = this.#epochs[slot];
      if (known === undefined || epoch < known) continue;
      this.#owners[slot] = shard;
      this.#epochs[slot] = epoch;
    }
  }
}
