import { RestoredShardStore } from '../../mysql/restore/restoredShards.ts';
import type { Shard } from '../../mysql/shard.ts';
import { findRefusedShards } from '../../service/restore/restoreStatus.ts';

const LOOK_MS = 5_000;

/**
 * Stops a command that writes to shards by itself while gateways refuse one of them, because it was restored from a
 * backup or closed.
 *
 * @throws when a shard is refused
 */
export async function assertNoneRefused(
  shards: readonly Shard[],
  names: readonly { readonly name: string }[],
): Promise<void> {
  const [back] = await findRefusedShards(new RestoredShardStore(shards), shards.length, performance.now() + LOOK_MS);
  if (back !== undefined)
    throw new Error(
      `${names[back]?.name ?? back} is refused, because it was restored from a backup or an operator closed it: ` +
        'run npm run reconcile -- --restored; nothing was written',
    );
}
