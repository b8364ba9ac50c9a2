import type { ShardIndex } from './nouns.ts';

/** How the schema of one shard stands against the migrations at hand. */
export interface SchemaStatus {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Applied here, but not among the migrations at hand: this checkout is older than the shard. */
  readonly foreign: readonly string[];
  /** How many slots the shard owns; null before it was given any. */
  readonly slot_count: number | null;
}

/** Brings the schemas of shards up to date. */
export interface ShardMigrator {
  /** @throws when the shard cannot be read */
  status(shard: ShardIndex): Promise<SchemaStatus>;
  /**
   * Applies what is pending and, on a new shard, deals out its slots. Can be repeated after any failure and run by
   * several at once.
   *
   * @returns the names of the migrations that this call applied
   * @throws when the shard cannot be brought up to date
   */
  up(shard: ShardIndex): Promise<readonly string[]>;
}
