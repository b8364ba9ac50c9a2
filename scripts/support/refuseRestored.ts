import { RestoredShardStore } from '../../src/mysql/restoredShards.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { findRefused } from '../../src/service/restored/whoWentBack.ts';

const LOOK_MS = 5_000;

/**
 * Keeps a command that writes to shards by itself from those that gateways refuse, because they were restored from a backup.
 *
 * @throws when there are any
 */
export async function refuseRestored(
  shards: readonly Shard[],
  names: readonly { readonly name: string }[],
): Promise<void> {
  const [back] = await findRefused(new RestoredShardStore(shards), shards.length, performance.now() + LOOK_MS);
  if (back !== undefined)
    throw new Error(
      `${names[back]?.name ?? back} is not sold from, because it was restored from a backup or an operator closed it: npm run reconcile -- --restored; nothing was written`,
    );
}
