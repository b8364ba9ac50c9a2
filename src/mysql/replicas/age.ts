import type { DeadlineMs } from '../../core/types.ts';
import type { ShardClock } from '../batching/shardClock.ts';

/** A heartbeat may be this far ahead of its shard's computed time. If it is further ahead, the clock was set. */
const AHEAD_MS_MAX = 50;

/** When a question was sent and when its answer was received, on our monotonic clock. */
export interface AskedAt {
  readonly askedMs: DeadlineMs;
  readonly receivedMs: DeadlineMs;
}

/**
 * The greatest age of a snapshot at the moment when it was asked for. It contains all that its shard committed before
 * the heartbeat that it shows.
 *
 * @param heartbeatMs by the shard's clock, in milliseconds since 1970.
 * @param lagMsMax older snapshots are not used.
 * @returns null when the age cannot be computed: the clock is not known, the heartbeat is ahead of it, or the clock was
 *   lately set back. In the last case the heartbeat of a replica that is far behind could be taken for a young one.
 */
export function ageMsOf(
  heartbeatMs: number,
  { askedMs, receivedMs }: AskedAt,
  clock: ShardClock,
  lagMsMax: number,
): number | null {
  const [askedAt, heardAt] = [clock.latestMs(askedMs), clock.latestMs(receivedMs)];
  if (askedAt === null || heardAt === null) return null;
  if (heartbeatMs > heardAt + AHEAD_MS_MAX || receivedMs < clock.backUntilMs + lagMsMax) return null;
  return Math.max(0, askedAt - heartbeatMs);
}
