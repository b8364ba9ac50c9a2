import { setTimeout as sleep } from 'node:timers/promises';
import type { RestoredShards } from '../../src/core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../src/core/nouns.ts';
import { readKnownStandings } from '../../src/service/restored/whoWentBack.ts';
import { fail } from '../support/report.ts';

/** Gateways look at their shards every half second, and finish what they have begun within three more. */
const NOTICED_MS = 4_000;

export interface ClosingParts {
  readonly store: RestoredShards;
  /** The names of all shards, by their indexes. */
  readonly names: readonly string[];
  readonly deadlineMs: DeadlineMs;
}

/** Keeps gateways from selling from shards, and waits until all gateways have noticed. */
export async function closeAll(parts: ClosingParts, shards: readonly ShardIndex[]): Promise<void> {
  const { store, names, deadlineMs } = parts;
  const standings = await readKnownStandings(store, names.length, deadlineMs);
  const unread = names.filter((_, shard) => !standings.some((standing) => standing.shard === shard));
  const closed = await Promise.all(
    shards.map(async (shard) => {
      // A shard that was not read may remember more of this one: then it may have gone back, and is not advanced.
      const had = unread.length > 0 ? Infinity : (standings.find((standing) => standing.shard === shard)?.had ?? 0);
      return { shard, ...(await store.close(shard, had, deadlineMs)) };
    }),
  );
  if (unread.length > 0) {
    fail(
      `closed, but not advanced, because ${unread.join(', ')} could not be read: ` +
        'load no dump that is younger than two seconds',
    );
  }
  for (const { shard, reached } of closed) await noteOnOthers(parts, shard, reached);
  if (closed.some(({ isNew }) => isNew)) await sleep(NOTICED_MS);
}

/**
 * Writes down on all other shards how far a closed one has come. A dump that is loaded into it takes its mark away
 * and shows less
 * than that: a gateway that starts afterwards reads it from them.
 */
async function noteOnOthers(
  { store, names, deadlineMs }: ClosingParts,
  shard: ShardIndex,
  reached: number,
): Promise<void> {
  await Promise.all(
    names.map(async (name, other) => {
      if (other === shard) return;
      try {
        await store.noteReached(other, shard, reached, deadlineMs);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        fail(
          `${names[shard]} is closed, but ${name} could not note that (${reason}); repeat --close when ${name} answers, before a dump is loaded`,
        );
      }
    }),
  );
}
