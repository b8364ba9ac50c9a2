import { skuOn } from '../support/traffic.ts';
import type { Random } from './random.ts';

/** What is for sale in one round, with the stock it opens with. */
export interface Goods {
  readonly opening: ReadonlyMap<string, number>;
  /** Everything, hot ones many times over, so that picking one evenly makes them hot. */
  readonly byDemand: readonly string[];
  /** SKUs that lie on one shard together, so that one order can name several. */
  readonly together: readonly (readonly string[])[];
}

const SHARDS = 16;
const HOT = 2;
const HOT_TIMES = 8;
const SCARCE = 4;

/** A few hot SKUs, many cool ones, some that sell out at once; on every shard of every server. */
export function openGoods(prefix: string, random: Random): Goods {
  const opening = new Map<string, number>();
  const together: string[][] = [];
  const byDemand: string[] = [];
  for (let shard = 0; shard < SHARDS; shard += 1) {
    const cool = skuOn(shard, `${prefix}-cool-${shard}`);
    opening.set(cool, random.whole(20, 200));
    byDemand.push(cool);
    if (shard % 4 !== 0) continue;
    const neighbour = skuOn(shard, `${prefix}-neighbour-${shard}`);
    opening.set(neighbour, random.whole(20, 200));
    together.push([cool, neighbour]);
  }
  for (let number = 0; number < HOT; number += 1) {
    const hot = skuOn(random.whole(0, SHARDS - 1), `${prefix}-hot-${number}`);
    opening.set(hot, random.whole(300, 600));
    for (let time = 0; time < HOT_TIMES; time += 1) byDemand.push(hot);
  }
  for (let number = 0; number < SCARCE; number += 1) {
    const scarce = skuOn(random.whole(0, SHARDS - 1), `${prefix}-scarce-${number}`);
    opening.set(scarce, random.whole(1, 15));
    byDemand.push(scarce);
  }
  return { opening, byDemand, together };
}
