import type { Shard } from '../shard.ts';
import type { QueuedOperation } from './batchQueue.ts';

/** The operations of one batch for one shard. */
export interface ShardOperations {
  readonly shard: Shard;
  readonly batch: readonly QueuedOperation[];
}

/** By shard, in the same order on all gateways: batches of several gateways lock rows of several shards. */
export function splitByShard(batch: readonly QueuedOperation[]): ShardOperations[] {
  const parts = new Map<Shard, QueuedOperation[]>();
  for (const queued of batch) {
    const part = parts.get(queued.shard);
    if (part === undefined) parts.set(queued.shard, [queued]);
    else part.push(queued);
  }
  return [...parts]
    .map(([shard, ofShard]) => ({ shard, batch: ofShard }))
    .sort((a, b) => a.shard.index - b.shard.index);
}
