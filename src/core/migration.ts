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

/** Who migrates a shard at this moment. */
export interface LockHolder {
  /** The number of its connection on the server. */
  readonly connection: number;
  /** Its host, and its port there. */
  readonly from: string;
  readonly user: string;
  /** For how long its connection has been doing what it does. */
  readonly seconds: number;
  /** What that is. */
  readonly doing: string;
}

/** What stood in the way of a migration, and what became of it. */
export interface LockReport {
  /** A run that lives holds the shard's lock; null: none does. */
  readonly holder: LockHolder | null;
  /** `left`: nothing was asked to end it, or there is none; `by_itself`: it had ended before it was to be ended. */
  readonly ending: 'left' | 'ended' | 'by_itself';
  /** A run that died had left its mark, which was taken away. */
  readonly wasLeftLocked: boolean;
  /** Another run took the lock meanwhile and works on the shard now; null: none did. */
  readonly next: LockHolder | null;
}

/** How a run is ended. */
export interface EndOptions {
  /** The longest wait for the server to undo what the run did. */
  readonly waitMs: number;
  /** Called every second meanwhile. @param seconds since the run was ended */
  readonly onWait: (holder: LockHolder, seconds: number) => void;
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
  /**
   * Finds what a run that died has left, and takes it away.
   *
   * @param end end the connection of a run that lives, too: one that hangs; null: leave it alone
   * @throws when the shard cannot be read, or the server has not undone in time what was ended
   */
  unlock(shard: ShardIndex, end: EndOptions | null): Promise<LockReport>;
}
