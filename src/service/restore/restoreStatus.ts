import {
  KnownWatermarks,
  isUnsellable,
  NO_WATERMARK,
  ownWatermarkOf,
  REFERENCE_WATERMARK_KEY,
} from '../../core/restore/watermarks.ts';
import type { Watermark, StoredWatermarks, RestoredWatermark } from '../../core/restore/watermarks.ts';
import type { RestoredShards } from '../../core/ports/restoredShards.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { isProgramFault } from '../../core/programFault.ts';

/** The watermarks of a shard. If the shard was not restored, its own watermark is the latest known one. */
export interface RestoreStatus extends RestoredWatermark {
  readonly shard: ShardIndex;
  /** The watermark of the reference copy that is or was copied over the shard while it is closed. */
  readonly copied: Watermark;
}

/** Whether its own watermark is below the latest known one. Then it also shows since when records are missing. */
export function isBelowWatermark({ watermark, watermarkBefore }: RestoredWatermark): boolean {
  return watermark < watermarkBefore;
}

/**
 * Reads the status of each shard from the watermarks that all shards keep.
 *
 * @throws when a shard cannot be read: it may have a later watermark than the others
 */
export async function readRestoreStatuses(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<RestoreStatus[]> {
  return statusesOf(await Promise.all(indexes(shardCount).map((shard) => shards.readWatermarks(shard, deadlineMs))));
}

/**
 * Reads the status of the shards that can be read now. A shard that cannot be read is missing, and so are the
 * watermarks that it keeps.
 */
export async function readAvailableStatuses(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<RestoreStatus[]> {
  return statusesOf(
    await Promise.all(indexes(shardCount).map((shard) => orNull(shards.readWatermarks(shard, deadlineMs)))),
  );
}

/** Finds the closed or restored shards, among those that can be read now. Only a restore may write to them. */
export async function findRefusedShards(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<ShardIndex[]> {
  const statuses = await readAvailableStatuses(shards, shardCount, deadlineMs);
  return statuses.flatMap((status) => (isUnsellable(status) ? [status.shard] : []));
}

/** @throws a fault of this program, which says nothing about the shard */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isProgramFault(error)) throw error;
    return null;
  }
}

/** @param read the watermarks that each shard keeps; null: the shard cannot be read, and has no status */
function statusesOf(read: readonly (StoredWatermarks | null)[]): RestoreStatus[] {
  const watermarks = new KnownWatermarks(read.length);
  read.forEach((reached, shard) => void (reached !== null && watermarks.learn(shard, reached, NO_WATERMARK)));
  return read.flatMap((reached, shard) => {
    if (reached === null) return [];
    const shown = ownWatermarkOf(reached, shard);
    return [
      {
        ...shown,
        shard,
        watermarkBefore: watermarks.known(shard),
        copied: (shown.mark === null ? undefined : reached.get(REFERENCE_WATERMARK_KEY)) ?? NO_WATERMARK,
      },
    ];
  });
}

function indexes(count: number): ShardIndex[] {
  return Array.from({ length: count }, (_, shard) => shard);
}
