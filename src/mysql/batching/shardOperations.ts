import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { Shard } from '../shard.ts';
import type { QueuedOperation } from './batchQueue.ts';

/** The part of a batch that belongs to one shard. */
export interface ShardOperations {
  readonly shard: Shard;
  readonly batch: readonly { readonly queued: QueuedOperation; readonly operation: BatchOperation }[];
}

/** By shard, in the same order on all gateways: batches of several gateways lock rows of several shards. */
export function splitByShard(batch: readonly QueuedOperation[]): ShardOperations[] {
  const split = new Map<Shard, ShardOperations['batch'][number][]>();
  for (const queued of batch) {
    for (const { shard, operation } of queued.parts) {
      const ofShard = split.get(shard);
      if (ofShard === undefined) split.set(shard, [{ queued, operation }]);
      else ofShard.push({ queued, operation });
    }
  }
  return [...split]
    .map(([shard, ofShard]) => ({ shard, batch: ofShard }))
    .sort((a, b) => a.shard.index - b.shard.index);
}

/** The shards that a batch names, in the order in which all gateways lock their rows. */
export function shardsOf(batch: readonly QueuedOperation[]): Shard[] {
  const shards = new Set<Shard>();
  for (const { parts } of batch) for (const { shard } of parts) shards.add(shard);
  return [...shards].sort((a, b) => a.index - b.index);
}
