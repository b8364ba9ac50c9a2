import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';

/** Runs a Lua script where the key lies, for all gateways. @throws when it was not answered in time */
export type RunScript = (lua: string, key: string, texts: readonly string[]) => Promise<unknown>;

export interface LimitOptions {
  /** Requests of one caller that are let through each second. */
  readonly perSecond: number;
  /** Requests beyond those that he may have in ten seconds, all at once if he likes. */
  readonly burst: number;
  readonly keyPrefix: string;
  /** Counts for all gateways together; null: this process counts for itself. */
  readonly shared: RunScript | null;
}

const SECOND = 1;
const BURST_SECONDS = 10;

/**
 * Lets each caller ask so often. Seconds and ten seconds begin with his first request in them: over the end of one and the beginning of
 * the next he may have twice as many, in the long run `perSecond` and a tenth of `burst` each second. Counted in Redis where there is one, so that it holds over all gateways; while that does not
 * answer each process counts for itself, which lets through more, and refuses nobody who would not be refused.
 */
export class CallerLimit {
  readonly #limiter: BurstyRateLimiter;

  constructor({ perSecond, burst, keyPrefix, shared }: LimitOptions) {
    const limiter = (what: string, points: number, duration: number): RateLimiterMemory | RateLimiterRedis => {
      const options = { points, duration, keyPrefix: `${keyPrefix}:limit:${what}` };
      const alone = new RateLimiterMemory(options);
      if (shared === null) return alone;
      // Who is over the limit is sent away without asking again until his time has come.
      return new RateLimiterRedis({ ...options, storeClient: storeOver(shared), insuranceLimiter: alone, inMemoryBlockOnConsumed: points + 1 });
    };
    this.#limiter = new BurstyRateLimiter(limiter('second', perSecond, SECOND), limiter('burst', burst, BURST_SECONDS));
  }

  /** @returns whether this request is let through */
  async take(caller: string): Promise<boolean> {
    try {
      await this.#limiter.consume(caller);
      return true;
    } catch (error) {
      if (error instanceof RateLimiterRes) return false;
      throw error;
    }
  }
}

/** What the library needs of a client: to be given a script once, and to run it. */
function storeOver(run: RunScript): { defineCommand(name: string, script: { readonly lua: string }): void; rlflxIncr(words: readonly string[]): Promise<unknown> } {
  let lua = '';
  return {
    defineCommand: (name, script) => {
      if (name === 'rlflxIncr') ({ lua } = script);
    },
    rlflxIncr: ([key = '', ...texts]) => run(lua, key, texts),
  };
}
