import { NoAnswer } from './failures.ts';
import type { Reading } from './nodeClock.ts';

/** What every script tells first, and what follows. */
export interface Answer {
  readonly run_id: string;
  /** Empty where there is none. */
  readonly era: string;
  readonly reading: Reading;
  readonly rest: readonly unknown[];
}

/** @throws NoAnswer when this is not what our scripts answer */
export function readAnswer(reply: unknown, askedMs: number, heardMs: number): Answer {
  const [seconds, micros, run_id, era, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : [];
  const nodeMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
  if (!Number.isFinite(nodeMs) || nodeMs <= 0 || typeof run_id !== 'string' || !/^[0-9a-f]{40}$/.test(run_id)) {
    throw new NoAnswer('Redis does not answer as our scripts do');
  }
  const isEra = typeof era === 'string' && /^[0-9a-f]{32}$/.test(era);
  return { run_id, era: isEra ? era : '', reading: { nodeMs, askedMs, heardMs }, rest };
}
