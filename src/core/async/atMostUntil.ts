import type { DeadlineMs } from '../types.ts';
import { pause } from './pause.ts';

/** Waits for work that continues after the deadline, but not longer than the caller waits. @throws as the work does */
export async function atMostUntil(deadlineMs: DeadlineMs, work: Promise<unknown>): Promise<void> {
  const ended = new AbortController();
  const timer = pause(Math.max(0, deadlineMs - performance.now()), undefined, { signal: ended.signal });
  try {
    await Promise.race([work, timer]);
  } finally {
    timer.catch(() => undefined);
    ended.abort();
  }
}
