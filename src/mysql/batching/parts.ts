import type { Shard } from '../shard.ts';
import type { Errand } from './queue.ts';

/** What rides in one batch for one shard. */
export interface Part {
  readonly shard: Shard;
  readonly errands: readonly Errand[];
}

/** By shard, in the same order everywhere: batches of several gateways lock rows of several shards. */
export function partsOf(errands: readonly Errand[]): Part[] {
  const parts = new Map<Shard, Errand[]>();
  for (const errand of errands) {
    const part = parts.get(errand.shard);
    if (part === undefined) parts.set(errand.shard, [errand]);
    else part.push(errand);
  }
  return [...parts]
    .map(([shard, ofShard]) => ({ shard, errands: ofShard }))
    .sort((a, b) => a.shard.index - b.shard.index);
}
