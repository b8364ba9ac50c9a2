import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Answered } from './http/listener.ts';

/**
 * The most bytes that wait to be written. Beyond it lines are dropped, because a stuck log reader must not stop the
 * gateway.
 */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Logs lines of JSON to standard error. Standard output is only for the line that reports that the gateway is ready.
 */
export function createLog(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid } },
    pino.destination({ fd: 2, sync: false, maxLength: WAITING_BYTES_MAX }),
  );
}

/**
 * Logs requests that ended in doubt or with a fault, and on level `debug` every request. A line has no header, no body
 * and no id of the caller except the request id.
 */
export function answerLog(log: Logger): (answered: Answered) => void {
  const logsAll = log.isLevelEnabled('debug');
  return (answered) => {
    if (answered.isInDoubt) log.warn(answered, 'answered');
    else if (logsAll) log.debug(answered, 'answered');
  };
}

/**
 * Makes a function that passes on at most one call per key in each interval, with the number of calls suppressed since
 * the last one. When a shard is down, thousands of requests a second would log the same line.
 */
export function atMostEvery<T>(
  intervalMs: number,
  keyOf: (item: T) => string,
  pass: (item: T, suppressed: number) => void,
): (item: T) => void {
  const last = new Map<string, { atMs: number; suppressed: number }>();
  return (item) => {
    const key = keyOf(item);
    const nowMs = performance.now();
    const previous = last.get(key);
    if (previous !== undefined && nowMs - previous.atMs < intervalMs) {
      previous.suppressed += 1;
      return;
    }
    last.set(key, { atMs: nowMs, suppressed: 0 });
    pass(item, previous?.suppressed ?? 0);
  };
}
