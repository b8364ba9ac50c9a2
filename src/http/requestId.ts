import { randomUUID } from 'node:crypto';

/** Texts that are safe in a log line and in a header. */
const GIVEN = /^[\x21-\x7e]{1,64}$/;

/** The id of a request in the logs: the `X-Request-Id` of the caller if it is safe to repeat, or a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && GIVEN.test(given) ? given : randomUUID();
}
