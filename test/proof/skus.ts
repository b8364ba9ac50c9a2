import { skuOn } from '../support/engines/traffic.ts';
import { OWNERS } from './rules/effects.ts';
import type { Random } from './random.ts';

/** The SKUs of one round, with their opening stock. */
export interface RoundSkus {
  readonly opening: ReadonlyMap<string, number>;
  /** SKUs that are always on sale. Hot ones are listed many times, so that a uniform pick makes them hot. */
  readonly byDemand: readonly string[];
  /** SKUs that lie on one shard together, so that one order can name several. */
  readonly onOneShard: readonly (readonly string[])[];
  /** The SKUs of `byDemand` on each server. */
  readonly onServers: readonly (readonly string[])[];
  /** Lists of SKUs on different shards; always the same few, so that orders contend for them. */
  readonly onDifferentShards: readonly (readonly string[])[];
  /** SKUs that are paused at times; only their own operations order them. */
  readonly pausable: readonly string[];
  /** SKUs that lie in several rows on several shards and are resized all the time; some are scarce, some pausable. */
  readonly split: readonly string[];
}

const SHARDS = 16;
const HOT = 2;
const HOT_TIMES = 8;
const SCARCE = 4;
const PAUSABLE = 2;
const SPLIT = 2;
/** Chosen so that a third of the orders name a split SKU. */
const SPLIT_TIMES = 5;
const SCARCE_SPLIT_TIMES = 4;

/** The numbers of rows that an operator chooses from; one is larger than the number of shards. */
export const ROW_COUNTS: readonly number[] = [1, 1, 3, 4, 16, 16, 20];

/**
 * A few hot SKUs, many cool ones and some that sell out at once, on every shard of every server.
 *
 * @param serverOf the server of a shard, from 0
 */
export function createRoundSkus(prefix: string, random: Random, serverOf: (shard: number) => number): RoundSkus {
  const opening = new Map<string, number>();
  const together: string[][] = [];
  const byDemand: string[] = [];
  const put = (shard: number, name: string, least: number, most: number): string => {
    const sku_id = skuOn(shard, `${prefix}-${name}`);
    opening.set(sku_id, random.whole(least, most));
    return sku_id;
  };
  const cool = Array.from({ length: SHARDS }, (_, shard) => put(shard, `cool-${shard}`, 20, 200));
  byDemand.push(...cool);
  for (let shard = 0; shard < SHARDS; shard += 4)
    together.push([cool[shard] ?? '', put(shard, `neighbour-${shard}`, 20, 200)]);
  const hot = Array.from({ length: HOT }, (_, number) => put(random.whole(0, SHARDS - 1), `hot-${number}`, 300, 600));
  for (let time = 0; time < HOT_TIMES; time += 1) byDemand.push(...hot);
  const scarce = Array.from({ length: SCARCE }, (_, number) =>
    put(random.whole(0, SHARDS - 1), `scarce-${number}`, 1, 15),
  );
  byDemand.push(...scarce);
  const pausable = Array.from({ length: PAUSABLE }, (_, number) =>
    put(random.whole(0, SHARDS - 1), `pausable-${number}`, 300, 600),
  );
  const owners = Array.from({ length: SPLIT }, () => random.whole(0, SHARDS - 1));
  const split = owners.map((shard, number) => put(shard, `split-${number}`, 300, 600));
  const scarceSplit = Array.from({ length: SPLIT }, (_, number) =>
    put(random.whole(0, SHARDS - 1), `scarce-split-${number}`, 20, 60),
  );
  pausable.push(put(random.whole(0, SHARDS - 1), 'pausable-split', 300, 600));
  for (let time = 0; time < SPLIT_TIMES; time += 1) byDemand.push(...split);
  for (let time = 0; time < SCARCE_SPLIT_TIMES; time += 1) byDemand.push(...scarceSplit);
  // With a SKU of the same shard, and twice in one order, whose two lines belong to different rows.
  together.push([split[0] ?? '', cool[owners[0] ?? 0] ?? ''], [split[1] ?? '', split[1] ?? '']);
  const apart = [
    ...[
      [...hot, ...cool.slice(0, 2)],
      [...scarce, ...hot.slice(0, 1)],
      [cool[3] ?? '', cool[12] ?? ''],
      cool.slice(6, 10),
    ],
    ...[
      [...split, cool[5] ?? ''],
      [...scarceSplit, ...split.slice(0, 1)],
    ],
  ];
  return {
    opening,
    byDemand,
    onOneShard: together,
    onServers: byServer(byDemand, serverOf),
    onDifferentShards: apart.map(oneOfEachShard),
    pausable,
    split: [...split, ...scarceSplit, ...pausable.slice(PAUSABLE)],
  };
}

/** The SKUs that sell out, in one row or in several. */
export function scarceOf({ opening }: RoundSkus): string[] {
  return [...opening.keys()].filter(isScarce);
}

export function isScarce(sku_id: string): boolean {
  return sku_id.includes('-scarce-');
}

/** SKUs on different shards, usually two to four; fewer where the random picks lie on the same shard. */
export function pickOnDifferentShards(goods: RoundSkus, random: Random): string[] {
  if (random.chance(0.5)) {
    const same = random.pick(goods.onDifferentShards);
    // In reverse order half of the time, so that two orders wait for each other's units.
    return random.chance(0.5) ? [...same] : [...same].reverse();
  }
  return oneOfEachShard(Array.from({ length: random.whole(3, 6) }, () => random.pick(goods.byDemand))).slice(0, 4);
}

/** SKUs on two to four different shards of one server. */
export function pickOnOneServer({ onServers }: RoundSkus, random: Random): string[] {
  const sku_ids = random.pick(onServers);
  const apart = [...oneOfEachShard(sku_ids)].sort(() => random.share() - 0.5).slice(0, 2);
  const more = Array.from({ length: 2 }, () => random.pick(sku_ids));
  const picked = oneOfEachShard([...apart, ...more]);
  return random.chance(0.5) ? picked : picked.reverse();
}

/** One SKU on each of two to four servers, and sometimes more of them on the same servers. */
export function pickOnDifferentServers({ onServers }: RoundSkus, random: Random): string[] {
  const servers = [...onServers].sort(() => random.share() - 0.5).slice(0, random.whole(2, 4));
  const picked = servers.map((sku_ids) => random.pick(sku_ids));
  const more = Array.from({ length: random.whole(0, 2) }, () => random.pick(random.pick(servers)));
  return [...new Set([...picked, ...more])];
}

/** SKUs of all shards, some of them twice. */
export function pickMany({ byDemand }: RoundSkus, random: Random): string[] {
  return Array.from({ length: random.whole(6, 12) }, () => random.pick(byDemand));
}

function byServer(sku_ids: readonly string[], serverOf: (shard: number) => number): string[][] {
  const servers: string[][] = [];
  for (const sku_id of sku_ids) (servers[serverOf(OWNERS.shardOf(sku_id))] ??= []).push(sku_id);
  return servers.filter((ofServer) => ofServer.length > 0);
}

function oneOfEachShard(sku_ids: readonly string[]): string[] {
  return [...new Map(sku_ids.map((sku_id) => [OWNERS.shardOf(sku_id), sku_id])).values()];
}
