const FIRST_MS = 50;
const MAX_MS = 2_000;

/**
 * The pause before the next try, in ms: doubled with each failure up to 2 s, and random, so that gateways do not all
 * come at once.
 *
 * @param failures the number of tries that failed in a row
 */
export function backOffMs(failures: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
}
