import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { ListenerOptions } from './http/listener.ts';
import { CallerLimit } from './limits/callerLimit.ts';
import { atMostEvery } from './log.ts';
import { ClientCommander } from './redis/commander.ts';
import { SharedBuckets } from './redis/sharedBuckets.ts';

/** A caller waits no longer to be counted by all gateways together. */
const COUNT_MS = 25;
/** Of troubles with Redis one is logged in so much time. */
const LOG_EVERY_MS = 10_000;

/** How often callers may ask. */
export interface Rates {
  /** For the public listener; nothing in it where everybody may ask as often as he likes. */
  readonly limits: Pick<ListenerOptions, 'mayAsk'>;
  stop(): Promise<void>;
}

/** Puts the limit together, as far as it is on; its buckets are in Redis where there is one. */
export function createRates({ rate, redis }: Pick<Config, 'rate' | 'redis'>, log: Logger): Rates {
  if (rate === null) return { limits: {}, stop: () => Promise.resolve() };
  if (redis === null)
    return { limits: limitsOf(new CallerLimit({ ...rate, shared: null })), stop: () => Promise.resolve() };
  const commander = new ClientCommander({
    ...redis,
    onEvent: ({ kind, what }) =>
      kind === 'connected'
        ? log.info({ redis: what }, 'rates are counted in Redis')
        : log.warn({ redis: what }, 'rates'),
  });
  commander.start();
  const shared = new SharedBuckets(commander, { ...rate, keyPrefix: redis.keyPrefix, waitMs: COUNT_MS });
  const logAlone = atMostEvery<unknown>(
    LOG_EVERY_MS,
    () => 'all',
    (error, alike) => log.warn({ err: error, alike }, 'callers are counted by this process alone'),
  );
  return { limits: limitsOf(new CallerLimit({ ...rate, shared, onAlone: logAlone })), stop: () => commander.stop() };
}

function limitsOf(limit: CallerLimit): Rates['limits'] {
  return { mayAsk: (caller) => limit.take(caller) };
}
