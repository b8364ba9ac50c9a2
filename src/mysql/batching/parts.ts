import type { Shard } from '../shard.ts';
import type { Errand } from './queue.ts';

/** The operations of one batch for one shard. */
export interface Part {
  readonly shard: Shard;
  readonly errands: readonly Errand[];
}

/** By shard, in the same order on all gateways: batches of several gateways lock rows of several shards. */
export function partsOf(batch: readonly Errand[]): Part[] {
  const parts = new Map<Shard, Errand[]>();
  for (const queued of batch) {
    const part = parts.get(queued.shard);
    if (part === undefined) parts.set(queued.shard, [queued]);
    else part.push(queued);
  }
  return [...parts]
    .map(([shard, ofShard]) => ({ shard, errands: ofShard }))
    .sort((a, b) => a.shard.index - b.shard.index);
}
