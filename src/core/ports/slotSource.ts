import type { DeadlineMs, ShardIndex } from '../types.ts';

/** A slot that a shard has in its own table. Of two claims, the one with the higher epoch is the later. */
export interface SlotClaim {
  readonly slot: number;
  readonly epoch: number;
}

/** Reads the slots that shards own. */
export interface SlotSource {
  /** The slots that a shard owns; null when it does not answer within the deadline. */
  readSlots(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SlotClaim[] | null>;
}
