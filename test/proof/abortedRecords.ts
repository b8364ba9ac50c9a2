import type { RowDataPacket } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from './rules/books.ts';
import type { ProofWorld } from './world.ts';

/** A minute, and some rounds of the sweepers. */
const DELETED_MS_MAX = 75_000;
const PAUSE_MS = 1_000;
const LEFT = `
SELECT (SELECT COUNT(*) FROM aborted_record) AS listed,
       (SELECT COUNT(*) FROM order_record WHERE state = 'aborted') AS aborted`;

/** Waits until no aborted record is left on any shard: a refused order leaves no row a minute later (I7). */
export async function abortedAreDeleted(world: ProofWorld): Promise<Violation[]> {
  for (const untilMs = performance.now() + DELETED_MS_MAX; ; await sleep(PAUSE_MS)) {
    const left = await leftOnShards(world);
    if (left.length === 0) return [];
    if (performance.now() > untilMs) return left.map((what) => ({ invariant: 'I7', what }));
  }
}

async function leftOnShards(world: ProofWorld): Promise<string[]> {
  const texts = await Promise.all(
    [...world.stack.shards.keys()].map(async (shard) => {
      const session = await world.session(world.serverOf(shard), shard);
      try {
        const [[row]] = await session.query<RowDataPacket[]>(LEFT);
        const { listed, aborted } = row as { listed: number; aborted: number };
        const where = `shard ${shard}: ${aborted} aborted records and ${listed} listed ones`;
        return listed + aborted === 0 ? null : `${where} are left after ${DELETED_MS_MAX / 1_000} s`;
      } finally {
        session.destroy();
      }
    }),
  );
  return texts.filter((text) => text !== null);
}
