import { NoAnswer } from './noAnswer.ts';
import type { ClockReading } from './nodeClock.ts';

/** The reply of a script: first the fields that every script returns, then its own. */
export interface ScriptReply {
  readonly run_id: string;
  /** Empty when there is none. */
  readonly era: string;
  readonly reading: ClockReading;
  readonly rest: readonly unknown[];
}

/** @throws NoAnswer when the reply does not have the form of our scripts */
export function parseReply(reply: unknown, askedMs: number, heardMs: number): ScriptReply {
  const [seconds, micros, run_id, era, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : [];
  const nodeMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
  if (!Number.isFinite(nodeMs) || nodeMs <= 0 || typeof run_id !== 'string' || !/^[0-9a-f]{40}$/.test(run_id)) {
    throw new NoAnswer('the reply of Redis does not have the form of our scripts');
  }
  const isEra = typeof era === 'string' && /^[0-9a-f]{32}$/.test(era);
  return { run_id, era: isEra ? era : '', reading: { nodeMs, sentMs: askedMs, receivedMs: heardMs }, rest };
}
