import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;

/**
 * Asks again and again until something is as it should be.
 *
 * @throws after `waitMs`, with what was wanted
 */
export async function eventually(what: string, waitMs: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${waitMs / 1_000} s`);
    await sleep(POLL_MS);
  }
}
