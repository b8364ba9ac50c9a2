import type { DeadlineMs } from '../../core/nouns.ts';
import type { ShardClock } from '../batching/shardClock.ts';

/** A heartbeat may lie this far ahead of what its shard's clock is thought to say; more, and the clock was set. */
const AHEAD_MS_MAX = 50;

/** When something was asked and answered, on our monotonic clock. */
export interface AskedAt {
  readonly askedMs: DeadlineMs;
  readonly heardMs: DeadlineMs;
}

/**
 * How old a snapshot was, at most, when it was asked for: whatever its shard committed before the heartbeat in it is in it too.
 *
 * @param heartbeatMs by the shard's clock, in milliseconds since 1970
 * @param lagMsMax older ones are of no interest
 * @returns null when nothing can be said: the clock is not known, the heartbeat lies ahead of it, or it was set back so
 *   lately that the heartbeat of a replica that is far behind could be taken for a young one
 */
export function ageMsOf(
  heartbeatMs: number,
  { askedMs, heardMs }: AskedAt,
  clock: ShardClock,
  lagMsMax: number,
): number | null {
  const [askedAt, heardAt] = [clock.latestMs(askedMs), clock.latestMs(heardMs)];
  if (askedAt === null || heardAt === null) return null;
  if (heartbeatMs > heardAt + AHEAD_MS_MAX || heardMs < clock.backUntilMs + lagMsMax) return null;
  return Math.max(0, askedAt - heartbeatMs);
}
