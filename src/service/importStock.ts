import type { ShardIndex } from '../core/nouns.ts';
import type { OpenedMany, OpeningStock, StockOpener } from '../core/ports.ts';
import { pause } from './freeHolds.ts';
import { inWidth } from './inWidth.ts';
import type { Routing } from './routing.ts';

/** SKUs that are opened in one transaction. */
const AT_ONCE = 500;
/** Transactions that are under way at a time, over all shards. */
const WIDTH = 16;
const BATCH_MS = 10_000;
const TRIES_MAX = 20;
const PAUSE_MS = 500;

export interface ImportParts {
  readonly routing: Routing;
  readonly opener: StockOpener;
}

/** What became of all SKUs: each is counted or named once. */
export interface Imported {
  readonly openedNow: number;
  /** Stood with the same opening stock: what an earlier run had done. */
  readonly stoodAlready: number;
  /** Stood with another opening stock, with that one; left as they are. */
  readonly otherwise: readonly OpeningStock[];
  /** May be there or not: their shard could not be had. To be sent again. */
  readonly notKnown: readonly { readonly stock: OpeningStock; readonly reason: string }[];
}

/**
 * Opens many SKUs at the shards that own them. It may be done again, after a crash too: what stands is not opened twice, and
 * nobody's stock is set back.
 *
 * @param stocks no SKU twice
 * @param onDone told how many more were dealt with
 */
export async function importStock(
  parts: ImportParts,
  stocks: readonly OpeningStock[],
  onDone: (count: number) => void,
): Promise<Imported> {
  await parts.routing.refresh();
  const batches = batchesOf(parts.routing, stocks);
  const results = await inWidth(batches, WIDTH, async (batch) => {
    const result = await openPatiently(parts, batch);
    onDone(batch.length);
    return result;
  });
  return {
    openedNow: sum(results, ({ openedNow }) => openedNow),
    stoodAlready: sum(results, ({ stoodAlready }) => stoodAlready),
    otherwise: results.flatMap(({ otherwise }) => otherwise),
    notKnown: results.flatMap(({ notKnown }) => notKnown),
  };
}

/** Batches of one shard each; those of different shards follow one another, so that all work at the same time. */
function batchesOf({ map }: Routing, stocks: readonly OpeningStock[]): OpeningStock[][] {
  const byShard = new Map<ShardIndex, OpeningStock[][]>();
  for (const stock of stocks) {
    const shard = map.shardOf(stock.sku_id);
    const batches = byShard.get(shard) ?? [];
    const last = batches.at(-1);
    if (last === undefined || last.length === AT_ONCE) batches.push([stock]);
    else last.push(stock);
    byShard.set(shard, batches);
  }
  const ofShards = [...byShard.values()];
  const longest = Math.max(0, ...ofShards.map(({ length }) => length));
  return Array.from({ length: longest }, (_, place) =>
    ofShards.flatMap((batches) => batches.slice(place, place + 1)),
  ).flat();
}

async function openPatiently({ routing, opener }: ImportParts, batch: readonly OpeningStock[]): Promise<Imported> {
  let reason = '';
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    if (tries > 1) await pause(PAUSE_MS);
    const answer = await routing.onOwners((map) => openAtOwners(map, opener, batch));
    if (answer.is === 'opened') {
      const { openedNow, otherwise } = answer;
      return { openedNow, otherwise, stoodAlready: batch.length - openedNow - otherwise.length, notKnown: [] };
    }
    ({ reason } = answer);
  }
  return { openedNow: 0, stoodAlready: 0, otherwise: [], notKnown: batch.map((stock) => ({ stock, reason })) };
}

type Answer = Awaited<ReturnType<StockOpener['openMany']>>;

/** Nearly always it is one owner; while slots move it may be several. @returns the first answer that is no success, or all together */
async function openAtOwners(map: Routing['map'], opener: StockOpener, batch: readonly OpeningStock[]): Promise<Answer> {
  const owners = new Map<ShardIndex, OpeningStock[]>();
  for (const stock of batch) {
    const shard = map.shardOf(stock.sku_id);
    const ofOwner = owners.get(shard);
    if (ofOwner === undefined) owners.set(shard, [stock]);
    else ofOwner.push(stock);
  }
  const opened: OpenedMany[] = [];
  for (const [shard, stocks] of owners) {
    const answer = await opener.openMany(shard, stocks, performance.now() + BATCH_MS);
    if (answer.is !== 'opened') return answer;
    opened.push(answer);
  }
  return {
    is: 'opened',
    openedNow: sum(opened, ({ openedNow }) => openedNow),
    otherwise: opened.flatMap(({ otherwise }) => otherwise),
  };
}

function sum<T>(things: readonly T[], amountOf: (thing: T) => number): number {
  return things.reduce((all, thing) => all + amountOf(thing), 0);
}
