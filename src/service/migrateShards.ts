import type { SchemaStatus, ShardMigrator } from '../core/migration.ts';
import type { ShardIndex } from '../core/nouns.ts';

/** What became of one shard. */
export interface MigrationResult {
  readonly shard: ShardIndex;
  /** Names applied by this run; empty when nothing was pending or only the status was asked. */
  readonly appliedNow: readonly string[];
  readonly status: SchemaStatus | null;
  /** Why it failed, or null. */
  readonly fault: string | null;
}

export interface MigrateShardsOptions {
  readonly migrator: ShardMigrator;
  readonly shardCount: number;
  /** Apply what is pending; otherwise only look. */
  readonly apply: boolean;
  /** The longest one shard may take. */
  readonly shardMs: number;
  readonly onResult?: (result: MigrationResult) => void;
}

/** Looks after all shards at once; one that is down or fails leaves the others done. One result per shard, in order. */
export function migrateShards(options: MigrateShardsOptions): Promise<MigrationResult[]> {
  return Promise.all(
    Array.from({ length: options.shardCount }, async (_, shard) => {
      const result = await migrateShard(shard, options);
      options.onResult?.(result);
      return result;
    }),
  );
}

async function migrateShard(shard: ShardIndex, options: MigrateShardsOptions): Promise<MigrationResult> {
  const { migrator, apply, shardMs } = options;
  const work = async (): Promise<MigrationResult> => {
    const appliedNow = apply ? await migrator.up(shard) : [];
    return { shard, appliedNow, status: await migrator.status(shard), fault: null };
  };
  try {
    return await within(shardMs, work());
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    return { shard, appliedNow: [], status: null, fault: fault.split('\n')[0] ?? fault };
  }
}

/** @throws when it takes longer; it goes on then */
export function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1_000} s`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
