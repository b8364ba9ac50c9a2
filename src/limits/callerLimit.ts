import { TokenBucket } from 'limiter';

/** Token buckets that all gateways share. */
export interface SharedBuckets {
  /**
   * Takes a token out of a caller's bucket, if there is one.
   *
   * @returns whether a token was taken, and the tokens left in the bucket
   * @throws when there is no answer in time
   */
  take(caller: string): Promise<{ readonly isTaken: boolean; readonly left: number }>;
}

export interface LimitOptions {
  /** Requests per second of one caller that are admitted in the long run; 1 or more. */
  readonly perSecond: number;
  /** Requests of one caller that are admitted at once; 1 or more. */
  readonly burst: number;
  /** Null: this process counts by itself. */
  readonly shared: SharedBuckets | null;
  /** Receives the reason when a request could not be counted together with those of other gateways. */
  readonly onCountedAlone?: (error: unknown) => void;
}

/**
 * The most callers with a bucket. Beyond it the bucket of the caller whose last request is oldest is dropped, and that
 * caller starts with a full one.
 */
const CALLERS_MAX = 50_000;

/**
 * Limits the request rate of each caller. A request takes a token out of its caller's bucket, and is rejected when
 * there is none. In any t seconds, wherever they begin, at most `burst + perSecond × t` requests are admitted. A token
 * is added at least once a second, because `perSecond` is 1 or more.
 *
 * With shared buckets a request first needs a token of its gateway's own bucket, which hardly ever has fewer tokens
 * than the shared one. So a caller above the limit is rejected without a command to Redis. While Redis does not answer,
 * each gateway goes on with the number of tokens that it last read.
 */
export class CallerLimit {
  readonly #options: LimitOptions;
  /** In the order of the callers' last requests, the latest at the end. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(options: LimitOptions) {
    this.#options = options;
  }

  /** The number of callers with a bucket. */
  get callerCount(): number {
    return this.#buckets.size;
  }

  /** @returns whether the request is admitted */
  async take(caller: string): Promise<boolean> {
    const { shared } = this.#options;
    const own = this.#bucketOf(caller);
    if (!own.tryRemoveTokens(1)) return false;
    if (shared === null) return true;
    try {
      const { isTaken, left } = await shared.take(caller);
      own.content = isTaken ? Math.min(own.content, left) : left;
      return isTaken;
    } catch (error) {
      this.#options.onCountedAlone?.(error);
      return true;
    }
  }

  #bucketOf(caller: string): TokenBucket {
    const bucket = this.#buckets.get(caller) ?? this.#fullBucket();
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > CALLERS_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }

  #fullBucket(): TokenBucket {
    const { burst, perSecond } = this.#options;
    const bucket = new TokenBucket({ bucketSize: burst, tokensPerInterval: perSecond, interval: 'second' });
    // A bucket of the library begins empty.
    bucket.content = burst;
    return bucket;
  }
}
