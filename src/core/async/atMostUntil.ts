import type { DeadlineMs } from '../types.ts';
import { pause } from './pause.ts';

/** Waits for work that continues after the deadline, but not longer than the caller waits. */
export async function atMostUntil(deadlineMs: DeadlineMs, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, pause(Math.max(0, deadlineMs - performance.now()))]);
}
