/**
 * When a clock is set back, earlier moments lie ahead of it and would count as young for the length of the step.
 * Nothing that carts leave exists much longer than this. So a moment further ahead is from before the step, and old.
 */
const AHEAD_SECONDS = 5;

/**
 * A condition: a moment lies some time back by the clock of the shard, or so far ahead that the clock was set back
 * since. Clocks are set forward too, so this condition alone must not allow what would be wrong for a young row.
 *
 * @param column a DATETIME(6); where it is NULL the condition is neither true nor false
 * @param seconds whole ones
 */
export function isOlder(column: string, seconds: number): string {
  return (
    `(${column} <= CURRENT_TIMESTAMP(6) - INTERVAL ${seconds} SECOND ` +
    `OR ${column} > CURRENT_TIMESTAMP(6) + INTERVAL ${AHEAD_SECONDS} SECOND)`
  );
}
