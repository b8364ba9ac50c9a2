import { withTimeout } from '../core/async/withTimeout.ts';
import type { SchemaStatus, ShardMigrator } from '../core/ports/shardMigrator.ts';
import type { ShardIndex } from '../core/types.ts';
import { errorText } from '../core/text/errorText.ts';

/** The outcome of one shard. */
export interface MigrationResult {
  readonly shard: ShardIndex;
  /** Names of the migrations that this run applied; empty when none was pending, or only the status was read. */
  readonly appliedNow: readonly string[];
  readonly status: SchemaStatus | null;
  /** Why the shard failed; null: it did not. */
  readonly fault: string | null;
}

export interface MigrateShardsOptions {
  readonly migrator: ShardMigrator;
  readonly shardCount: number;
  /** True: apply pending migrations. False: only read the status. */
  readonly apply: boolean;
  /** Also apply the migrations that shut out gateways of the version before. If absent, they wait. */
  readonly shutsOutOlder?: boolean;
  /** The longest time for one shard, in milliseconds. */
  readonly shardMs: number;
  readonly onResult?: (result: MigrationResult) => void;
}

/**
 * Migrates all shards at once. A shard that fails does not stop the others.
 *
 * @returns one result per shard, in their order
 */
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
  const { migrator, apply, shutsOutOlder = false, shardMs } = options;
  const work = async (): Promise<MigrationResult> => {
    const appliedNow = apply ? await migrator.up(shard, shutsOutOlder) : [];
    return { shard, appliedNow, status: await migrator.status(shard), fault: null };
  };
  try {
    return await withTimeout(work(), shardMs, () => new Error(`no answer within ${shardMs / 1_000} s`));
  } catch (error) {
    const fault = errorText(error);
    return { shard, appliedNow: [], status: null, fault: fault.split('\n')[0] ?? fault };
  }
}
