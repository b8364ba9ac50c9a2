import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;

/**
 * Checks a condition again and again until it is true.
 *
 * @throws after `waitMs`, with the name of the condition
 */
export async function eventually(
  condition: string,
  waitMs: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) throw new Error(`${condition}: not within ${waitMs / 1_000} s`);
    await sleep(POLL_MS);
  }
}
