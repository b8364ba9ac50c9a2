import { Generations, HALF_COPIED, isBack, NOTHING, SHOWED_BEFORE, STATE_REACHED } from '../../core/generations.ts';
import type { Generation, WentBack } from '../../core/generations.ts';
import type { RestoredShards } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';

/** A shard, what it shows and what it is known to have reached; the same, where it did not go back. */
export interface Standing extends WentBack {
  readonly shard: ShardIndex;
  /** While a state is copied over it: how far that goes, and what the shard showed before. */
  readonly copying: { readonly reached: Generation; readonly showed: Generation } | null;
}

/** How each shard stands by what all of them have written down. @throws when one cannot be read: it may know more than the others */
export async function readStandings(shards: RestoredShards, shardCount: number, deadlineMs: DeadlineMs): Promise<Standing[]> {
  const generations = new Generations(shardCount);
  const all = Array.from({ length: shardCount }, (_, shard): ShardIndex => shard);
  const read = await Promise.all(all.map((shard) => shards.readReached(shard, deadlineMs)));
  read.forEach((reached, shard) => generations.learn(shard, reached, 0));
  return all.map((shard) => {
    const [shows, reached = NOTHING, showed = NOTHING] = [shard, STATE_REACHED, SHOWED_BEFORE].map((index) => read[shard]?.get(index));
    return { shard, shows: shows ?? NOTHING, had: generations.known(shard), copying: shows === HALF_COPIED ? { reached, showed } : null };
  });
}

/** Shards that went back, as far as shards can be read now: nobody may write to those but who puts things back. */
export async function findWentBack(shards: RestoredShards, shardCount: number, deadlineMs: DeadlineMs): Promise<ShardIndex[]> {
  const generations = new Generations(shardCount);
  const all = Array.from({ length: shardCount }, (_, shard): ShardIndex => shard);
  const read = await Promise.all(all.map((shard) => shards.readReached(shard, deadlineMs).catch(() => null)));
  read.forEach((reached, shard) => void (reached !== null && generations.learn(shard, reached, 0)));
  return all.filter((shard) => {
    const reached = read[shard] ?? null;
    return reached !== null && isBack({ shows: reached.get(shard) ?? NOTHING, had: generations.known(shard) });
  });
}
