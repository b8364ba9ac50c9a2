import type { ShardIndex } from '../../core/types.ts';
import type { OpenedMany, OpeningStock, StockOpener } from '../../core/ports/stockOpener.ts';
import { pause } from '../../core/async/pause.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import type { Routing } from '../routing/routing.ts';

/** SKUs that are opened in one transaction. */
const AT_ONCE = 500;
/** Transactions that are under way at once, over all shards. */
const WIDTH = 16;
const BATCH_MS = 10_000;
const TRIES_MAX = 20;
const PAUSE_MS = 500;

export interface ImportPorts {
  readonly routing: Routing;
  readonly opener: StockOpener;
}

/** The outcome for all SKUs: each is counted or named once. */
export interface Imported {
  readonly openedNow: number;
  /** SKUs that existed with the same opening stock, from an earlier run. */
  readonly alreadyOpen: number;
  /** SKUs that existed with another opening stock, each with that stock; they are not changed. */
  readonly differing: readonly OpeningStock[];
  /** SKUs with an unknown outcome, because their shard did not answer. They must be sent again. */
  readonly unknownOutcome: readonly { readonly stock: OpeningStock; readonly reason: string }[];
}

/**
 * Opens many SKUs on the shards that own them. It can be repeated, also after a crash: a SKU that exists is not opened
 * again, and its stock is not reset.
 *
 * @param stocks no SKU twice
 * @param onDone called after each batch with the number of its SKUs
 */
export async function importStock(
  ports: ImportPorts,
  stocks: readonly OpeningStock[],
  onDone: (count: number) => void,
): Promise<Imported> {
  await ports.routing.refresh();
  const batches = batchesOf(ports.routing, stocks);
  const results = await mapWithLimit(batches, WIDTH, async (batch) => {
    const result = await openWithRetries(ports, batch);
    onDone(batch.length);
    return result;
  });
  return {
    openedNow: sum(results, ({ openedNow }) => openedNow),
    alreadyOpen: sum(results, ({ alreadyOpen }) => alreadyOpen),
    differing: results.flatMap(({ differing }) => differing),
    unknownOutcome: results.flatMap(({ unknownOutcome }) => unknownOutcome),
  };
}

/**
 * Cuts the SKUs into batches of one shard each. The shards alternate in the list, so that all work at the same time.
 */
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
  return Array.from({ length: longest }, (_, index) =>
    ofShards.flatMap((batches) => batches.slice(index, index + 1)),
  ).flat();
}

async function openWithRetries({ routing, opener }: ImportPorts, batch: readonly OpeningStock[]): Promise<Imported> {
  let reason = '';
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    if (tries > 1) await pause(PAUSE_MS);
    const answer = await routing.onOwners((map) => openAtOwners(map, opener, batch));
    if (answer.is === 'opened') {
      const { openedNow, conflicting } = answer;
      return {
        openedNow,
        differing: conflicting,
        alreadyOpen: batch.length - openedNow - conflicting.length,
        unknownOutcome: [],
      };
    }
    ({ reason } = answer);
  }
  return { openedNow: 0, alreadyOpen: 0, differing: [], unknownOutcome: batch.map((stock) => ({ stock, reason })) };
}

type Answer = Awaited<ReturnType<StockOpener['openMany']>>;

/**
 * Opens one batch. Nearly always it has one owner; while slots move it may have several.
 *
 * @returns the first failed answer, or the sum of all answers
 */
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
    conflicting: opened.flatMap(({ conflicting }) => conflicting),
  };
}

function sum<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((total, item) => total + amountOf(item), 0);
}
