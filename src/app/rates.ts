import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { ListenerOptions } from '../http/listener.ts';
import { CallerLimit } from '../limits/callerLimit.ts';
import { atMostEvery } from '../log.ts';
import { ClientCommander } from '../redis/commander.ts';
import { RedisBuckets } from '../redis/sharedBuckets.ts';

/** The longest wait for the count of all gateways together. */
const COUNT_MS = 25;
/** At most one error of Redis is logged in this time. */
const LOG_EVERY_MS = 10_000;

/** The rate limit of callers. */
export interface Rates {
  /** The limit of the public listener; empty when there is none. */
  readonly limits: Pick<ListenerOptions, 'mayCall'>;
  stop(): Promise<void>;
}

/** Makes the rate limit, if it is on. Its buckets are in Redis if an address is configured. */
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
  const shared = new RedisBuckets(commander, { ...rate, keyPrefix: redis.keyPrefix, waitMs: COUNT_MS });
  const logAlone = atMostEvery<unknown>(
    LOG_EVERY_MS,
    () => 'all',
    (error, alike) => log.warn({ err: error, alike }, 'Redis did not count a request: this process counts alone'),
  );
  return {
    limits: limitsOf(new CallerLimit({ ...rate, shared, onCountedAlone: logAlone })),
    stop: () => commander.stop(),
  };
}

function limitsOf(limit: CallerLimit): Rates['limits'] {
  return { mayCall: (caller) => limit.take(caller) };
}
