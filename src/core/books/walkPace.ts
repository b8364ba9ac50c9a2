/** SKUs that are compared in one step, at most: MariaDB uses no index ranges for a list of a thousand values. */
export const STEP_SKUS_MAX = 200;
/** Fewer would not make a step much shorter, because its statements have a fixed price. */
const STEP_SKUS_MIN = 20;
/** A step that takes less may be followed by a larger one. */
const STEP_MS = 200;
/** A step that takes longer is followed by a smaller one: it keeps a connection of the shard. */
const LONG_STEP_MS = 400;
const GROWTH = 1.5;
/** The shortest pause after a step, in times of the step: comparing takes at most a tenth of the time. */
const PAUSE_PER_STEP = 9;
/** The longest pause after a step that was short, so that a shard with few SKUs is compared often. */
const PAUSE_MS_MAX = 10_000;
/** The longest pause after any step: the lease must be renewed. */
const LONG_PAUSE_MS_MAX = 20_000;
/** The pause while the number of SKUs is not known, because no round was completed yet. */
const FIRST_ROUND_PAUSE_MS = 250;
/** The pause after a full page of order records. */
const RECORDS_PAUSE_MS = 3_000;

/** The number of SKUs of the next step, by the time that the last one took. @param skus of the last step's limit */
export function nextStepSkus(skus: number, elapsedMs: number): number {
  // After a fault a step may have one SKU. It grows in any case: otherwise a shard with slow reads would keep it.
  if (skus < STEP_SKUS_MIN) return Math.min(STEP_SKUS_MIN, skus * 2);
  if (elapsedMs > LONG_STEP_MS) return Math.max(STEP_SKUS_MIN, Math.floor(skus / 2));
  return elapsedMs < STEP_MS ? Math.min(STEP_SKUS_MAX, Math.ceil(skus * GROWTH)) : skus;
}

/**
 * The pause after a step over SKUs, in milliseconds: as long as the round allows, and long enough to keep the load low.
 *
 * @param skus compared in the step
 * @param shardSkus of the whole shard; null: not known
 * @param roundMs the time for a round
 */
export function pauseAfterStep(
  { skus, elapsedMs }: { readonly skus: number; readonly elapsedMs: number },
  shardSkus: number | null,
  roundMs: number,
): number {
  const share = shardSkus === 0 ? 1 : Math.min(1, skus / (shardSkus ?? 1));
  const dueMs = shardSkus === null ? FIRST_ROUND_PAUSE_MS : roundMs * share - elapsedMs;
  return Math.max(Math.min(dueMs, PAUSE_MS_MAX), restAfter(elapsedMs));
}

/** The pause after a page of order records, in milliseconds. @param isLast the records of a round end with it */
export function pauseAfterRecords(elapsedMs: number, isLast: boolean): number {
  return Math.max(isLast ? PAUSE_MS_MAX : RECORDS_PAUSE_MS, restAfter(elapsedMs));
}

function restAfter(elapsedMs: number): number {
  return Math.min(elapsedMs * PAUSE_PER_STEP, LONG_PAUSE_MS_MAX);
}
