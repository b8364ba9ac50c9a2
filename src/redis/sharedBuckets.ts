import type { Commander } from './commander.ts';
import { NoAnswer } from './failures.ts';
import { PART_COUNT, partOf, PartKeys } from './parts.ts';
import { QuickLane } from './quickLane.ts';
import { TAKE } from './script.ts';

/** What became of a wish for a token. */
export interface Taken {
  readonly isTaken: boolean;
  /** Tokens that are in the bucket now, and parts of one. */
  readonly left: number;
}

export interface BucketOptions {
  readonly keyPrefix: string;
  /** Tokens that come into each bucket in a second. */
  readonly perSecond: number;
  /** Tokens that it holds. */
  readonly burst: number;
  /** No bucket is waited for longer, in milliseconds. */
  readonly waitMs: number;
}

const TOKEN = 1_000_000;

/** The buckets of all callers, for all gateways. A full one is forgotten by Redis itself. */
export class SharedBuckets {
  readonly #parts: readonly { readonly keys: PartKeys; readonly lane: QuickLane }[];
  readonly #texts: readonly string[];

  constructor(commander: Commander, { keyPrefix, perSecond, burst, waitMs }: BucketOptions) {
    this.#parts = Array.from({ length: PART_COUNT }, (_, part) => ({
      keys: new PartKeys(keyPrefix, part),
      lane: new QuickLane(commander, waitMs),
    }));
    this.#texts = [String(perSecond), String(burst)];
  }

  /** @throws when there is no answer, as `QuickLane.ask` does */
  async take(caller: string): Promise<Taken> {
    const part = this.#parts[partOf(caller)];
    if (part === undefined) throw new NoAnswer(`${caller} has no part`);
    const reply = await part.lane.ask(TAKE, part.keys.ofCaller(caller), this.#texts);
    const [taken, millionths] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (typeof taken !== 'number' || typeof millionths !== 'number')
      throw new NoAnswer('Redis does not answer as our script does');
    return { isTaken: taken === 1, left: millionths / TOKEN };
  }
}
