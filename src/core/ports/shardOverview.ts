import type { ShardIndex } from '../types.ts';

/** The state of a shard, as this gateway sees it. */
export interface ShardState {
  readonly shard: ShardIndex;
  readonly name: string;
  /** `untried`: no connection was opened yet. `refused`: the shard does not meet the requirements. */
  readonly state: 'untried' | 'serving' | 'unreachable' | 'refused';
  /** The reason why the shard does not serve, or null. For operators: it may name hosts. */
  readonly reason: string | null;
  /** False: a power failure may lose commits on this shard. Null: not known yet. */
  readonly durable: boolean | null;
  /** `open`: the shard has not been answering, so requests to it fail at once. */
  readonly breaker: 'closed' | 'open';
  /** Retries of transactions so far. */
  readonly retries: number;
  readonly server_version: string | null;
  readonly pool: PoolState;
}

/** The state of a replica of a shard's primary. */
export interface ReplicaState {
  readonly host: string;
  readonly port: number;
  /**
   * `following`: it is read. `lagging`: its lag is above the limit. `silent`: it did not answer the last read.
   * `refused`: it does not meet the requirements. `unclear`: its heartbeat or the shard's clock does not show its lag.
   * `untried`: it was not read yet.
   */
  readonly state: 'following' | 'lagging' | 'silent' | 'refused' | 'unclear' | 'untried';
  /** The reason why it is not read; null when it is. */
  readonly reason: string | null;
  /** The age of its data at the last read, at most. */
  readonly lagMs: number | null;
}

/** The state of a shard's connection pool at one moment. */
export interface PoolState {
  readonly connections_max: number;
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  readonly waiting_max: number;
}

/** The states of the shards, for operators. */
export interface ShardOverview {
  shards(): readonly ShardState[];
  /** False when answers from this shard must name the weaker durability (I11). */
  isDurable(shard: ShardIndex): boolean;
}
