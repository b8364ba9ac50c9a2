import { setTimeout as sleep } from 'node:timers/promises';
import type { RestoredShards } from '../../core/ports/restoredShards.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { readAvailableStatuses } from '../../service/restore/restoreStatus.ts';
import { fail } from '../support/report.ts';
import { errorText } from '../../core/text/errorText.ts';

/** A gateway checks its shards every 0.5 s, and finishes its running operations within 3 s more. */
const NOTICED_MS = 4_000;

export interface ClosingPorts {
  readonly store: RestoredShards;
  /** The names of all shards, by their indexes. */
  readonly names: readonly string[];
  readonly deadlineMs: DeadlineMs;
}

/** Closes shards, and waits until all gateways have noticed. */
export async function closeAll(parts: ClosingPorts, shards: readonly ShardIndex[]): Promise<void> {
  const { store, names, deadlineMs } = parts;
  const statuses = await readAvailableStatuses(store, names.length, deadlineMs);
  const readFailures = names.filter((_, shard) => !statuses.some((status) => status.shard === shard));
  const closed = await Promise.all(
    shards.map(async (shard) => {
      // A shard that was not read may have a later watermark of this one. Then this one may have gone back, and is
      // not advanced.
      const watermarkBefore =
        readFailures.length > 0 ? Infinity : (statuses.find((status) => status.shard === shard)?.watermarkBefore ?? 0);
      return { shard, ...(await store.close(shard, watermarkBefore, deadlineMs)) };
    }),
  );
  if (readFailures.length > 0) {
    fail(
      `closed, but not advanced to the present moment, because ${readFailures.join(', ')} could not be read: ` +
        'do not load a dump that was made less than 2 seconds ago',
    );
  }
  for (const { shard, watermark } of closed) await noteOnOthers(parts, shard, watermark);
  if (closed.some(({ isNew }) => isNew)) await sleep(NOTICED_MS);
}

/**
 * Writes the watermark of a closed shard to all other shards. A dump that is loaded into the closed shard removes its
 * mark and has an earlier watermark. A gateway that starts afterwards reads the later one from the other shards.
 */
async function noteOnOthers(
  { store, names, deadlineMs }: ClosingPorts,
  shard: ShardIndex,
  reached: number,
): Promise<void> {
  await Promise.all(
    names.map(async (name, other) => {
      if (other === shard) return;
      try {
        await store.storeWatermark(other, shard, reached, deadlineMs);
      } catch (error) {
        const reason = errorText(error);
        fail(
          `${names[shard]} is closed, but its watermark could not be written to ${name} (${reason}); ` +
            `repeat --close when ${name} answers, before you load a dump`,
        );
      }
    }),
  );
}
