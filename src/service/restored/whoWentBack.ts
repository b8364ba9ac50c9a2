import { Generations, isRefused, NOTHING, shownBy, STATE_REACHED } from '../../core/generations.ts';
import type { Generation, Reached, WentBack } from '../../core/generations.ts';
import type { RestoredShards } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { isProgramFault } from '../../core/programFault.ts';

/** A shard and how far it has come; as far as it is known to have, where it did not go back. */
export interface Standing extends WentBack {
  readonly shard: ShardIndex;
  /** How far the state goes that is copied over it, or was while it was kept from gateways. */
  readonly copied: Generation;
}

/** Whether it shows less than somebody remembers of it: then it also says since when something is missing. */
export function wasSeen({ shows, had }: WentBack): boolean {
  return shows < had;
}

/** How each shard stands by what all of them have written down. @throws when one cannot be read: it may know more than the others */
export async function readStandings(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<Standing[]> {
  return standingsOf(await Promise.all(indexes(shardCount).map((shard) => shards.readReached(shard, deadlineMs))));
}

/**
 * The same as far as shards can be read now; one that cannot be read is missing, and what it remembers is not known.
 */
export async function readKnownStandings(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<Standing[]> {
  return standingsOf(
    await Promise.all(indexes(shardCount).map((shard) => orNull(shards.readReached(shard, deadlineMs)))),
  );
}

/** Shards that are refused, as far as shards can be read now: nobody may write to those but who puts things back. */
export async function findRefused(
  shards: RestoredShards,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<ShardIndex[]> {
  const standings = await readKnownStandings(shards, shardCount, deadlineMs);
  return standings.flatMap((standing) => (isRefused(standing) ? [standing.shard] : []));
}

/** @throws a fault of this program: it says nothing about the shard */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isProgramFault(error)) throw error;
    return null;
  }
}

/** @param read what each shard has written down; null: it cannot be read, and has no standing */
function standingsOf(read: readonly (Reached | null)[]): Standing[] {
  const generations = new Generations(read.length);
  read.forEach((reached, shard) => void (reached !== null && generations.learn(shard, reached, NOTHING)));
  return read.flatMap((reached, shard) => {
    if (reached === null) return [];
    const shown = shownBy(reached, shard);
    return [
      {
        ...shown,
        shard,
        had: generations.known(shard),
        copied: (shown.mark === null ? undefined : reached.get(STATE_REACHED)) ?? NOTHING,
      },
    ];
  });
}

function indexes(count: number): ShardIndex[] {
  return Array.from({ length: count }, (_, shard) => shard);
}
