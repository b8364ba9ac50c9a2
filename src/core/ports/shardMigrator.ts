import type { ShardIndex } from '../types.ts';

/** A migration that waits until no older gateway runs any more, as the operator states by an option. */
export interface WaitingMigration {
  readonly name: string;
  /** It shuts out the gateways below this level. */
  readonly oldestGateway: number;
}

/** The migrations that one shard has and lacks, compared with those of this checkout. */
export interface SchemaStatus {
  readonly applied: readonly string[];
  /** Not applied yet, without those that wait. */
  readonly pending: readonly string[];
  /**
   * The first migration that shuts out gateways of the version before, and all after it. On a new shard none waits,
   * because no gateway serves it.
   */
  readonly waiting: readonly WaitingMigration[];
  /** Applied to the shard, but not in this checkout: the checkout is older than the shard. */
  readonly foreign: readonly string[];
  /** The number of slots that the shard owns; null before slots were assigned to it. */
  readonly slot_count: number | null;
}

/** The run that is migrating a shard now. */
export interface LockHolder {
  /** The number of its connection on the server. */
  readonly connection: number;
  /** The host and the port of the run. */
  readonly from: string;
  readonly user: string;
  /** Seconds that its connection has been in its present state. */
  readonly seconds: number;
  /** The present state or statement of its connection. */
  readonly doing: string;
}

/** The run that blocked a migration, and how it ended. */
export interface LockReport {
  /** The live run that holds the shard's lock; null: there is none. */
  readonly holder: LockHolder | null;
  /** `left`: no end was requested, or there is no run. `by_itself`: the run ended before the command ended it. */
  readonly ending: 'left' | 'ended' | 'by_itself';
  /** A run that died had left the shard marked as locked; the mark was removed. */
  readonly wasLeftLocked: boolean;
  /** Another run that took the lock in the meantime and is working on the shard; null: there is none. */
  readonly next: LockHolder | null;
}

/** How to end a run. */
export interface EndOptions {
  /** The longest wait until the server has rolled back the work of the run. */
  readonly waitMs: number;
  /** Called every second during the wait. @param seconds since the run was ended */
  readonly onWait: (holder: LockHolder, seconds: number) => void;
}

/** Migrates the schemas of shards. */
export interface ShardMigrator {
  /** @throws when the shard cannot be read */
  status(shard: ShardIndex): Promise<SchemaStatus>;
  /**
   * Applies the pending migrations and, on a new shard, assigns its slots. It can be repeated after any failure, and
   * several runs may call it at once.
   *
   * @param shutsOutOlder also apply the migrations that wait: no gateway of the version before runs any more
   * @returns the names of the migrations that this call applied
   * @throws when the shard cannot be migrated
   */
  up(shard: ShardIndex, shutsOutOlder: boolean): Promise<readonly string[]>;
  /**
   * Removes the lock mark of a run that died.
   *
   * @param end also end the connection of a live run, for a run that hangs; null: do not end it
   * @throws when the shard cannot be read, or the server has not rolled back the ended run in time
   */
  unlock(shard: ShardIndex, end: EndOptions | null): Promise<LockReport>;
}
