import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Logger } from 'pino';

export interface CapturedLog {
  readonly log: Logger;
  /** The lines logged so far, parsed. */
  readonly lines: Record<string, unknown>[];
}

/** A logger whose lines are kept in memory. */
export function captureLog(level: 'debug' | 'warn'): CapturedLog {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as Record<string, unknown>)),
  });
  return { log: pino({ level }, stream), lines };
}
