import { AdmissionBound } from '../../../src/mysql/connection/admissionBound.ts';
import { BatchQueue } from '../../../src/mysql/batching/batchQueue.ts';
import type { QueuedOperation } from '../../../src/mysql/batching/batchQueue.ts';
import type { Shard } from '../../../src/mysql/shard.ts';

/** Nothing is sent to it: the queue reads only whether the shard is served, and uses its admission queue. */
export const shardOf = (isServing: boolean, waiting_max = 1_000): Shard =>
  ({ isServing, batchAdmission: new AdmissionBound(waiting_max) }) as unknown as Shard;

/** A queue that guesses every operation, with these operations in it. */
export function queueOf(...batch: QueuedOperation[]): BatchQueue {
  const queue = new BatchQueue(() => true);
  for (const one of batch) queue.add(one);
  return queue;
}
