import { randomUUID } from 'node:crypto';

/** What may stand in a log line and in a header without being read as anything else. */
const GIVEN = /^[\x21-\x7e]{1,64}$/;

/**
 * By what a request is found in the logs: what its caller calls it in `X-Request-Id`, if that can be said again; otherwise a
 * name of ours.
 */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && GIVEN.test(given) ? given : randomUUID();
}
