import { momentOf } from '../core/generations.ts';
import type { Generations } from '../core/generations.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Connection } from './connection.ts';
import { ServerError, ShardRefused } from './failures.ts';
import { MOVE_EVERY_MS, moveOn, readReached } from './sql/generation.ts';

/** The shard that was asked, and what its clock said. */
interface Asked {
  readonly shard: ShardIndex;
  readonly epochMs: number;
}

/**
 * Looks whether a shard is as far as it is known to have come, and moves it on when that is due.
 *
 * @throws ShardRefused when it went back: it was restored from a backup, or another server took its place that has not all of it
 */
export async function keepGeneration(connection: Connection, generations: Generations, { shard, epochMs }: Asked, deadlineMs: DeadlineMs): Promise<void> {
  const had = generations.known(shard);
  const back = generations.learn(shard, await readReached(connection, deadlineMs), had);
  if (back !== null) {
    throw new ShardRefused(
      `it shows what was true at ${momentOf(back.shows)} and had reached ${momentOf(back.had)}: it was restored from a backup; ` +
        'what was sold since is missing, run `npm run reconcile -- --restored`',
    );
  }
  const known = generations.known(shard);
  const ageMs = epochMs - known / 1_000;
  // Far ahead of its clock it was before the clock was set back.
  const isDue = ageMs >= MOVE_EVERY_MS || ageMs < -MOVE_EVERY_MS;
  if (isDue && generations.mayMove(shard)) await orLater(moveOn(connection, shard, known, generations.ofOthers(shard), deadlineMs));
}

/** A shard that takes no writes now is moved on by a later look; what it says of itself is true all the same. */
async function orLater(moving: Promise<void>): Promise<void> {
  try {
    await moving;
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
  }
}
