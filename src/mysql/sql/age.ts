/**
 * A clock that is set back leaves moments ahead of it, which would stay young for as long as the step was. Nothing that
 * carts leave lives much longer than this, so what lies further ahead is from before the step, and old.
 */
const AHEAD_SECONDS = 5;

/**
 * A condition: a moment is some time past by the clock of the shard, or so far ahead that the clock was set back since.
 * Clocks are set forward too, so nothing may be done on it alone that would be wrong for what is young.
 *
 * @param column a DATETIME(6); where it is NULL the condition is neither true nor false
 * @param seconds whole ones
 */
export function isOlder(column: string, seconds: number): string {
  return `(${column} <= CURRENT_TIMESTAMP(6) - INTERVAL ${seconds} SECOND OR ${column} > CURRENT_TIMESTAMP(6) + INTERVAL ${AHEAD_SECONDS} SECOND)`;
}
