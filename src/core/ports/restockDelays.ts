import type { DeadlineMs, ShardIndex } from '../types.ts';

/** The time for which new units of an empty stock row cannot be sold on a shard. */
export interface RestockDelay {
  /** In milliseconds; 0: the delay is off. */
  readonly delayMs: number;
  /** Gateways may refuse early on the shard now or soon. A gateway with tiers arms a delay that it finds disarmed. */
  readonly isArmed: boolean;
}

/** Reads and ends the restock delay of shards. Every method throws when the shard does not answer. */
export interface RestockDelays {
  read(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<RestockDelay>;

  /** Ends early refusals on a shard, and keeps its delay. */
  disarm(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void>;

  /** Ends the delay of a shard that is still disarmed. @returns false when a gateway armed it; nothing was changed */
  turnOff(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<boolean>;
}
