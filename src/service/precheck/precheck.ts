import type { DeadlineMs, Line, ShardIndex } from '../../core/types.ts';
import { refusedLines } from '../../core/outcome.ts';
import type { Refused, RefusedLine } from '../../core/outcome.ts';
import { StockReadFailed } from '../../core/ports/stockRowsReader.ts';
import type { ReadingSource } from '../../core/ports/readingSource.ts';
import type { StockRowsReader } from '../../core/ports/stockRowsReader.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import type { LayoutCache } from '../routing/layoutCache.ts';
import type { Routing } from '../routing/routing.ts';
import { readReplayIds } from './replayIds.ts';
import { SoldOutSkus } from './soldOutSkus.ts';
import type { Tier, TierName, TierWatcher } from './tier.ts';

export interface PrecheckPorts {
  readonly routing: Routing;
  readonly layouts: LayoutCache;
  readonly stockReader: StockRowsReader;
  readonly primary: ReadingSource;
  /** Whether the readings in this gateway's memory may refuse orders. */
  readonly hasMemory: boolean;
  /** The tiers behind memory, in the order in which they are asked. */
  readonly tiers: readonly Tier[];
  /** Writes the readings of the shards to the caches, also for the other gateways. */
  readonly cacheReadings: (readings: readonly StockReading[]) => void;
  readonly watcher: TierWatcher;
  /** Called with unexpected errors. */
  readonly onFault: (error: unknown) => void;
}

/** The interval at which the readings of requested SKUs are renewed. */
const RENEW_MS = 150;
/** A reading that is younger than this is not renewed. */
const FRESH_MS = 350;
/** The readings of a SKU without requests for this time are no longer renewed. */
const USED_MS = 2_000;
const PRIMARY_WAIT_MS = 600;
const IDS_WAIT_MS = 20_000;
const IDS_WIDTH = 2;

/**
 * Refuses orders for sold-out SKUs without a request to their shards. It may refuse an order, and never promises a
 * sale. It refuses only while the SKU has no units left and none held, only ids that were never sent before, and only
 * by a reading that is less than a second old. Units that enter an empty row are sold a second later at the earliest,
 * so no order can have been accepted since the reading.
 */
export class Precheck {
  readonly #ports: PrecheckPorts;
  readonly #soldOut = new SoldOutSkus();
  #timer: NodeJS.Timeout | null = null;
  #renewing: Promise<void> | null = null;
  #mustRenewAgain = false;
  /** SKUs whose ids are to be read; each is here once. */
  readonly #idsToRead: StockReading[] = [];
  #idReads = 0;

  constructor(ports: PrecheckPorts) {
    this.#ports = ports;
  }

  /** The numbers of SKUs and ids in memory. */
  get sizes(): { readonly skus: number; readonly ids: number } {
    return { skus: this.#soldOut.size, ids: this.#soldOut.idCount };
  }

  start(): void {
    this.#timer = setInterval(() => this.#renew(), RENEW_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#renewing;
  }

  /**
   * @param lines the lines of one order, each with its own ids
   * @returns a refusal with the lines that are certainly refused; null: the order must go to the engine. It is no
   *   promise when memory decides.
   */
  refuse(lines: readonly Line[]): Refused | null | Promise<Refused | null> {
    if (this.#soldOut.size === 0) return null;
    const nowMs = performance.now();
    let unsure: Line[] | null = null;
    let refused: RefusedLine[] | null = null;
    for (const line of lines) {
      const decision = this.#soldOut.decide(line.sku_id, line.order_detail_id, nowMs);
      if (decision === 'pass') continue;
      if (decision === 'ask' || !this.#ports.hasMemory) (unsure ??= []).push(line);
      else (refused ??= []).push(refusalOf(line));
    }
    if (this.#ports.hasMemory) {
      this.#ports.watcher.requested('memory');
      if (refused !== null) return this.#refusedBy('memory', refused, nowMs);
    }
    return unsure === null || this.#ports.tiers.length === 0 ? null : this.#readTiers(unsure);
  }

  /** Receives the engine's refusal of an order that the pre-check let pass. */
  learn({ lines }: Pick<Refused, 'lines'>): void {
    for (const { sku_id, code, leaved_amount } of lines) {
      if (code !== 'insufficient_stock' || leaved_amount !== 0) continue;
      if (this.#soldOut.add(sku_id, performance.now())) this.#renew();
      else this.#countFalsePass();
    }
  }

  /** Renews the reading of a SKU at once, because units came in. */
  noteIncrease(sku_id: string): void {
    if (this.#soldOut.readingOf(sku_id) === null) return;
    void this.#readShards([sku_id]).catch(this.#ports.onFault);
  }

  #countFalsePass(): void {
    if (this.#ports.hasMemory) this.#ports.watcher.falsePass('memory');
    for (const { name } of this.#ports.tiers) this.#ports.watcher.falsePass(name);
  }

  #refusedBy(tier: TierName, lines: readonly RefusedLine[], nowMs: DeadlineMs): Refused {
    const reading = this.#soldOut.readingOf(lines[0]?.sku_id ?? '');
    this.#ports.watcher.refused(tier, reading === null ? 0 : nowMs - reading.asOfMs);
    return refusedLines(lines);
  }

  async #readTiers(lines: readonly Line[]): Promise<Refused | null> {
    for (const tier of this.#ports.tiers) {
      const readings = await Promise.all(lines.map(({ sku_id }) => tier.readOne(sku_id)));
      const nowMs = performance.now();
      const refused = lines.filter(({ sku_id, order_detail_id }, index) => {
        const reading = readings[index] ?? null;
        return (
          reading !== null &&
          this.#isReady(reading) &&
          this.#soldOut.decide(sku_id, order_detail_id, nowMs, reading) === 'refuse'
        );
      });
      this.#take(readings.flatMap((reading) => (reading !== null && this.#isReady(reading) ? [reading] : [])));
      if (refused.length > 0) return this.#refusedBy(tier.name, refused.map(refusalOf), nowMs);
    }
    return null;
  }

  /** False for a shard that may sell units as soon as they enter an empty row: its readings must not refuse orders. */
  #isReady({ sku_id }: StockReading): boolean {
    return this.#ports.stockReader.isReady(this.#ports.routing.map.shardOf(sku_id));
  }

  /** Renews all due readings. A call during a round causes one more round. */
  #renew(): void {
    if (this.#renewing !== null) {
      this.#mustRenewAgain = true;
      return;
    }
    const nowMs = performance.now();
    const due = this.#soldOut.due(nowMs - USED_MS, nowMs - FRESH_MS);
    if (due.length === 0) return;
    this.#renewing = this.#read(due)
      .catch(this.#ports.onFault)
      .finally(() => {
        this.#renewing = null;
        if (!this.#mustRenewAgain) return;
        this.#mustRenewAgain = false;
        this.#renew();
      });
  }

  /** Reads each SKU from the cheapest source with a fresh reading. Readings of the shards are written to the caches. */
  async #read(sku_ids: readonly string[]): Promise<void> {
    let rest = sku_ids;
    for (const tier of this.#ports.tiers) {
      if (rest.length === 0) return;
      const readings = await tier.read(rest);
      const freshSinceMs = performance.now() - FRESH_MS;
      const isFresh = (reading: StockReading | null): reading is StockReading =>
        reading !== null && reading.isEmpty && reading.asOfMs >= freshSinceMs && this.#isReady(reading);
      this.#take(readings.filter(isFresh));
      rest = rest.filter((_, index) => !isFresh(readings[index] ?? null));
    }
    if (rest.length > 0) await this.#readShards(rest);
  }

  async #readShards(sku_ids: readonly string[]): Promise<void> {
    const readings = (await this.#ports.primary.read(sku_ids, performance.now() + PRIMARY_WAIT_MS)).flatMap(
      (reading) => reading ?? [],
    );
    this.#take(readings);
    this.#ports.cacheReadings(readings);
  }

  /**
   * Takes over readings. The ids of empty SKUs are read in the background; until then their orders go to the engine.
   */
  #take(readings: readonly StockReading[]): void {
    this.#idsToRead.push(...readings.filter((reading) => this.#soldOut.update(reading)));
    while (this.#idReads < IDS_WIDTH && this.#idsToRead.length > 0) void this.#readAllIds();
  }

  async #readAllIds(): Promise<void> {
    this.#idReads += 1;
    for (let reading = this.#idsToRead.shift(); reading !== undefined; reading = this.#idsToRead.shift())
      await this.#readIds(reading);
    this.#idReads -= 1;
  }

  async #readIds(reading: StockReading): Promise<void> {
    const untilMs = performance.now() + IDS_WAIT_MS;
    try {
      const ids = await readReplayIds(
        this.#ports.stockReader,
        reading,
        await this.#shardsOf(reading.sku_id, untilMs),
        untilMs,
      );
      this.#soldOut.updateIds(reading.sku_id, ids, performance.now());
    } catch (error) {
      this.#soldOut.updateIds(reading.sku_id, null, performance.now());
      if (!(error instanceof StockReadFailed)) this.#ports.onFault(error);
    }
  }

  /** The shards where a SKU may have flows. */
  async #shardsOf(sku_id: string, untilMs: DeadlineMs): Promise<readonly ShardIndex[]> {
    const loaded = await this.#ports.layouts.load(sku_id, untilMs);
    if (loaded.is === 'not_done') throw new StockReadFailed(loaded.reason);
    return loaded.layout?.shards ?? [this.#ports.routing.map.shardOf(sku_id)];
  }
}

function refusalOf({ sku_id, order_detail_id, quantity }: Line): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'insufficient_stock', leaved_amount: 0 };
}
