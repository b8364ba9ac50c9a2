import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { ListenerOptions } from './http/listener.ts';
import { CallerLimit } from './limits/callerLimit.ts';
import { ClientCommander } from './redis/commander.ts';
import { SharedBuckets } from './redis/sharedBuckets.ts';

/** A caller waits no longer to be counted by all gateways together. */
const COUNT_MS = 25;

/** How often callers may ask. */
export interface Rates {
  /** For the public listener; nothing in it where everybody may ask as often as he likes. */
  readonly limits: Pick<ListenerOptions, 'mayAsk'>;
  stop(): Promise<void>;
}

/** Puts the limit together, as far as it is on; its buckets are in Redis where there is one. */
export function createRates({ rate, redis }: Pick<Config, 'rate' | 'redis'>, log: Logger): Rates {
  if (rate === null) return { limits: {}, stop: () => Promise.resolve() };
  if (redis === null) return { limits: limitsOf(new CallerLimit({ ...rate, shared: null }), log), stop: () => Promise.resolve() };
  const commander = new ClientCommander({ ...redis, onEvent: ({ kind, what }) => (kind === 'connected' ? log.info({ redis: what }, 'rates are counted in Redis') : log.warn({ redis: what }, 'rates')) });
  commander.start();
  const shared = new SharedBuckets(commander, { ...rate, keyPrefix: redis.keyPrefix, waitMs: COUNT_MS });
  return { limits: limitsOf(new CallerLimit({ ...rate, shared }), log), stop: () => commander.stop() };
}

function limitsOf(limit: CallerLimit, log: Logger): Rates['limits'] {
  return {
    // Whoever cannot be counted is let through.
    mayAsk: (caller) =>
      limit.take(caller).catch((error: unknown) => {
        log.error({ err: error }, 'a caller could not be counted');
        return true;
      }),
  };
}
