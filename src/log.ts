import { pino } from 'pino';
import type { Logger } from 'pino';

/** Logs lines of JSON to standard error; standard output is for the one line that says the gateway is ready. */
export function createLog(level: string): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }));
}
