import { TokenBucket } from 'limiter';

/** Buckets that all gateways have in common. */
export interface SharedBuckets {
  /** Takes a token out of a caller's bucket, if there is one; `left` is what is in it then. @throws when nobody can tell in time */
  take(caller: string): Promise<{ readonly isTaken: boolean; readonly left: number }>;
}

export interface LimitOptions {
  /** Requests of one caller that are let through each second, in the long run. */
  readonly perSecond: number;
  /** Requests that he may have at once; 1 or more. */
  readonly burst: number;
  /** Null: this process counts for itself. */
  readonly shared: SharedBuckets | null;
  /** Told why a request could not be counted together with those of other gateways. */
  readonly onAlone?: (error: unknown) => void;
}

/** Callers who are remembered: beyond that, who was not heard of for longest begins with a full bucket. */
const CALLERS_MAX = 50_000;

/**
 * Lets each caller ask so often: a request takes a token out of his bucket, and where there is none it is turned away. In no stretch of
 * t seconds, wherever it begins, more than `burst + perSecond × t` are let through. A token comes within a second, because `perSecond` is 1 or more.
 *
 * Where buckets are shared a request needs a token of its gateway's own bucket first, which hardly ever has less in it than the shared one: so who is
 * over the limit is turned away without asking Redis, and while that does not answer each gateway goes on with what it last knew to be left.
 */
export class CallerLimit {
  readonly #options: LimitOptions;
  /** Whoever asked last stands last. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(options: LimitOptions) {
    this.#options = options;
  }

  /** How many callers are remembered. */
  get callerCount(): number {
    return this.#buckets.size;
  }

  /** @returns whether this request is let through */
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
      this.#options.onAlone?.(error);
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
    // The library's begin empty.
    bucket.content = burst;
    return bucket;
  }
}
