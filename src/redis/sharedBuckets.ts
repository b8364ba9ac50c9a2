import type { Commander } from './commander.ts';
import { NoAnswer } from './noAnswer.ts';
import { PARTITION_COUNT, partitionOf, PartitionKeys } from './partitions.ts';
import { RequestQueue } from './requestQueue.ts';
import { TAKE } from './script.ts';

/** The result of a request for a token. */
export interface TokenReply {
  readonly isTaken: boolean;
  /** Tokens that are in the bucket now, with fractions. */
  readonly left: number;
}

export interface BucketOptions {
  readonly keyPrefix: string;
  /** Tokens added to each bucket per second. */
  readonly perSecond: number;
  /** The most tokens in a bucket. */
  readonly burst: number;
  /** The longest wait for a bucket, in milliseconds. */
  readonly waitMs: number;
}

const MILLIONTHS_PER_TOKEN = 1_000_000;

/** The token buckets of all callers, shared by all gateways. Redis lets a full bucket expire. */
export class RedisBuckets {
  readonly #partitions: readonly { readonly keys: PartitionKeys; readonly queue: RequestQueue }[];
  readonly #texts: readonly string[];

  constructor(commander: Commander, { keyPrefix, perSecond, burst, waitMs }: BucketOptions) {
    this.#partitions = Array.from({ length: PARTITION_COUNT }, (_, index) => ({
      keys: new PartitionKeys(keyPrefix, index),
      queue: new RequestQueue(commander, waitMs),
    }));
    this.#texts = [String(perSecond), String(burst)];
  }

  /** @throws when there is no answer, as `RequestQueue.run` does */
  async take(caller: string): Promise<TokenReply> {
    const partition = this.#partitions[partitionOf(caller)];
    if (partition === undefined) throw new NoAnswer(`${caller} has no partition`);
    const reply = await partition.queue.run(TAKE, partition.keys.ofCaller(caller), this.#texts);
    const [taken, millionths] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (typeof taken !== 'number' || typeof millionths !== 'number')
      throw new NoAnswer('the reply of Redis does not have the form of our script');
    return { isTaken: taken === 1, left: millionths / MILLIONTHS_PER_TOKEN };
  }
}
