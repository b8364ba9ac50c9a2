import type { Layout } from '../../core/hot/layout.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { StockReadFailed } from '../../core/ports/stockRowsReader.ts';
import type { ReadingSource } from '../../core/ports/readingSource.ts';
import type { StockRowRead, StockRowsRead, StockRowsReader } from '../../core/ports/stockRowsReader.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import { sumUnits } from '../../core/units.ts';
import type { LayoutCache } from '../routing/layoutCache.ts';
import type { Routing } from '../routing/routing.ts';

export interface PrimaryReadingsPorts {
  readonly stockReader: StockRowsReader;
  readonly routing: Routing;
  readonly layouts: LayoutCache;
}

/** SKUs in one read of a shard. */
const SKUS_AT_A_TIME = 500;

/** The last source, the shards: it has a reading of every SKU, except those of a shard that cannot be read. */
export class PrimaryReadings implements ReadingSource {
  readonly #ports: PrimaryReadingsPorts;
  readonly #isForSale: boolean;

  /**
   * @param isForSale whether the readings may refuse orders. If not, the reads take no locks, and no reading is
   *   certainly empty.
   */
  constructor(ports: PrimaryReadingsPorts, isForSale: boolean) {
    this.#ports = ports;
    this.#isForSale = isForSale;
  }

  async read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (StockReading | null)[]> {
    const readings = new Map<string, StockReading>();
    const notOwned = await this.#readAtOwners(sku_ids, readings, deadlineMs);
    if (notOwned.length > 0) {
      const refreshed = this.#ports.routing.refresh();
      // Orders do not wait for the slot map: their shard decides.
      if (!this.#isForSale) await refreshed.then(() => this.#readAtOwners(notOwned, readings, deadlineMs));
    }
    return sku_ids.map((sku_id) => readings.get(sku_id) ?? null);
  }

  /** Adds to `readings`. @returns the SKUs that another shard owns */
  async #readAtOwners(
    sku_ids: readonly string[],
    readings: Map<string, StockReading>,
    deadlineMs: DeadlineMs,
  ): Promise<readonly string[]> {
    const asOfMs = performance.now();
    const skusByShard = new Map<ShardIndex, Set<string>>();
    for (const sku_id of sku_ids) {
      const shard = this.#ports.routing.map.shardOf(sku_id);
      const ofShard = skusByShard.get(shard);
      if (ofShard === undefined) skusByShard.set(shard, new Set([sku_id]));
      else ofShard.add(sku_id);
    }
    const notOwned: string[] = [];
    await Promise.all(
      [...skusByShard].flatMap(([shard, ofShard]) =>
        inPieces([...ofShard]).map(async (piece) => {
          const found = await this.#readShard(shard, piece, asOfMs, deadlineMs);
          for (const reading of found.readings) readings.set(reading.sku_id, reading);
          notOwned.push(...found.notOwned);
        }),
      ),
    );
    return notOwned;
  }

  async #readShard(
    shard: ShardIndex,
    sku_ids: readonly string[],
    asOfMs: DeadlineMs,
    deadlineMs: DeadlineMs,
  ): Promise<{ readonly readings: readonly StockReading[]; readonly notOwned: readonly string[] }> {
    const { stockReader } = this.#ports;
    const reads = await orNull(stockReader.readRows(shard, sku_ids, this.#isForSale, deadlineMs));
    if (reads === null) return { readings: [], notOwned: [] };
    const notOwned = reads.filter(({ isOwner }) => !isOwner).map(({ sku_id }) => sku_id);
    const mine = reads.filter(({ isOwner }) => isOwner);
    const single = mine.filter(({ hasLayout }) => !hasLayout).map((read) => this.#single(shard, read, asOfMs));
    const split = await Promise.all(
      mine.filter(({ hasLayout }) => hasLayout).map(({ sku_id }) => this.#split(sku_id, deadlineMs)),
    );
    return { readings: [...single, ...split.flatMap((reading) => reading ?? [])], notOwned };
  }

  #single(shard: ShardIndex, read: StockRowsRead, asOfMs: DeadlineMs): StockReading {
    return readingOf({
      sku_id: read.sku_id,
      mode: 'single',
      reads: [{ shard, read }],
      isReady: this.#ports.stockReader.isReady(shard),
      asOfMs,
    });
  }

  /**
   * Reads all rows on all shards where the SKU ever had rows. The layout must be the same before and after, so that no
   * units moved to a row that was not read.
   */
  async #split(sku_id: string, deadlineMs: DeadlineMs): Promise<StockReading | null> {
    const { stockReader } = this.#ports;
    const asOfMs = performance.now();
    const before = await this.#layoutOf(sku_id, deadlineMs);
    if (before === null) return null;
    const first = await this.#readAllRows(before, deadlineMs);
    const hasUnits =
      first?.some(({ read }) => read.rows.some(({ leaved_amount, held_amount }) => leaved_amount + held_amount > 0)) ??
      false;
    // The rows are read at different moments: units may move from a row that is not yet read to a row that was read. If
    // two reads are equal, all rows had these values at one moment between them.
    const second = first === null || hasUnits ? first : await this.#readAllRows(before, deadlineMs);
    const after = await this.#layoutOf(sku_id, deadlineMs);
    if (first === null || second === null) return null;
    const isChanged = after?.revision !== before.revision;
    if (isChanged && this.#isForSale) return null;
    const isReady = !isChanged && areEqual(first, second) && before.shards.every((shard) => stockReader.isReady(shard));
    const mode = before.placement.length > 1 ? 'hot' : 'single';
    return {
      ...readingOf({ sku_id, mode, reads: second, isReady, asOfMs, places: before.placement }),
      isInexact: true,
    };
  }

  /** @returns null when a shard could not be read */
  async #readAllRows({ sku_id, shards }: Layout, deadlineMs: DeadlineMs): Promise<ShardRead[] | null> {
    const reads = await Promise.all(
      shards.map(async (shard) => ({
        shard,
        read: (await orNull(this.#ports.stockReader.readRows(shard, [sku_id], this.#isForSale, deadlineMs)))?.[0],
      })),
    );
    const whole = reads.flatMap(({ shard, read }) => (read === undefined ? [] : [{ shard, read }]));
    return whole.length < reads.length ? null : whole;
  }

  async #layoutOf(sku_id: string, deadlineMs: DeadlineMs): Promise<Layout | null> {
    const loaded = await this.#ports.layouts.load(sku_id, deadlineMs);
    return loaded.is === 'layout' ? loaded.layout : null;
  }
}

interface ShardRead {
  readonly shard: ShardIndex;
  readonly read: StockRowsRead;
}

/** Whether two reads of all rows are equal, certain, and without units in transit. */
function areEqual(first: readonly ShardRead[], second: readonly ShardRead[]): boolean {
  const textOf = (reads: readonly ShardRead[]): string =>
    JSON.stringify(
      reads.map(({ shard, read }) => [shard, read.rows.map(({ sub_row, version }) => [sub_row, version])]),
    );
  return (
    [...first, ...second].every(({ read }) => read.isCertain && !read.hasOpenTransfers) &&
    textOf(first) === textOf(second)
  );
}

interface ReadRows {
  readonly sku_id: string;
  readonly mode: StockReading['mode'];
  readonly reads: readonly ShardRead[];
  readonly isReady: boolean;
  readonly asOfMs: DeadlineMs;
  /** Of a split SKU: the shards of the sub-rows in its present layout. */
  readonly places?: readonly ShardIndex[];
}

function readingOf({ sku_id, mode, reads, isReady, asOfMs, places }: ReadRows): StockReading {
  const rows = reads.flatMap(({ shard, read }) => read.rows.map((row) => ({ ...row, shard })));
  const sum = (of: (row: StockRowRead) => number): number => sumUnits(rows.map(of));
  const leaved = sum(({ leaved_amount }) => leaved_amount);
  const isCertain = reads.every(({ read }) => read.isCertain && !read.hasOpenTransfers);
  const isInPlace = ({ sub_row, shard }: { sub_row: number; shard: ShardIndex }): boolean =>
    places === undefined ? sub_row === 0 : places[sub_row] === shard;
  return {
    sku_id,
    leaved_amount: rows.length === 0 ? null : leaved,
    isEmpty: rows.length > 0 && isReady && isCertain && leaved + sum(({ held_amount }) => held_amount) === 0,
    version: sum(({ version }) => version),
    mode,
    rows: rows
      .filter(isInPlace)
      .map(({ shard, sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount }))
      .sort((a, b) => a.sub_row - b.sub_row),
    asOfMs,
  };
}

function inPieces(sku_ids: readonly string[]): string[][] {
  const pieces: string[][] = [];
  for (let start = 0; start < sku_ids.length; start += SKUS_AT_A_TIME)
    pieces.push(sku_ids.slice(start, start + SKUS_AT_A_TIME));
  return pieces;
}

async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof StockReadFailed) return null;
    throw error;
  }
}
