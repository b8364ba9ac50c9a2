import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Answered } from './http/listener.ts';

/** What may wait to be written, in bytes; beyond it lines are dropped. A stuck log reader must not stop the gateway. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/** Logs lines of JSON to standard error; standard output is for the one line that says the gateway is ready. */
export function createLog(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid } },
    pino.destination({ fd: 2, sync: false, maxLength: WAITING_BYTES_MAX }),
  );
}

/**
 * Says which requests ended in doubt or by a fault; on level `debug` how each one ended. Never a
 * header, a body or an id of a caller's but the name that he gave the request.
 */
export function answerLog(log: Logger): (answered: Answered) => void {
  const debugs = log.isLevelEnabled('debug');
  return (answered) => {
    if (answered.isInDoubt) log.warn(answered, 'answered');
    else if (debugs) log.debug(answered, 'answered');
  };
}

/**
 * Makes a function that passes on at most one call per key in each interval, with the number of those it swallowed
 * since the last one: when a shard is gone, thousands of requests a second have the same to say.
 */
export function atMostEvery<T>(
  intervalMs: number,
  keyOf: (thing: T) => string,
  pass: (thing: T, swallowed: number) => void,
): (thing: T) => void {
  const last = new Map<string, { atMs: number; swallowed: number }>();
  return (thing) => {
    const key = keyOf(thing);
    const nowMs = performance.now();
    const known = last.get(key);
    if (known !== undefined && nowMs - known.atMs < intervalMs) {
      known.swallowed += 1;
      return;
    }
    last.set(key, { atMs: nowMs, swallowed: 0 });
    pass(thing, known?.swallowed ?? 0);
  };
}
