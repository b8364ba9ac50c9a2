import type { DeadlineMs } from '../../core/types.ts';
import { isLater, mayRefuseAt } from '../../core/precheck/stockReading.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import type { ReplayIds } from './replayIds.ts';

/** The largest number of SKUs; the least recently requested SKU is forgotten first. */
const SKUS_MAX = 10_000;
/** The largest number of ids of all SKUs together: 32 megabytes. */
const IDS_MAX = 8_000_000;
const KEPT = 0.9;
/** The shortest time between two reads of all ids of a SKU: tombstones raise its version while it is sold out. */
const AGAIN_MS = 300;
/** The same after a failed read. */
const FAILED_MS = 5_000;

interface Entry {
  readonly sku_id: string;
  reading: StockReading | null;
  ids: ReplayIds | null;
  usedMs: DeadlineMs;
  isLoading: boolean;
  /** Its ids are not read again before this time. */
  loadFromMs: DeadlineMs;
}

/**
 * The decision about a line from memory alone. `ask`: the SKU may be sold out, but memory has no reading that proves it
 * now.
 */
export type PrecheckDecision = 'refuse' | 'pass' | 'ask';

/**
 * The SKUs for which an engine recently refused an order because no units were left, with their readings and ids. It is
 * bounded for any number of requested SKUs: only a refusal by an engine adds one.
 */
export class SoldOutSkus {
  /** In the order of the latest empty reading. Readings are renewed on request, so the last requested SKUs are last. */
  readonly #entries = new Map<string, Entry>();
  #idCount = 0;

  get size(): number {
    return this.#entries.size;
  }

  get idCount(): number {
    return this.#idCount;
  }

  /** Adds a SKU for which an engine refused an order. @returns whether the SKU is new here */
  add(sku_id: string, nowMs: DeadlineMs): boolean {
    if (this.#entries.has(sku_id)) return false;
    this.#entries.set(sku_id, {
      sku_id,
      reading: null,
      ids: null,
      usedMs: nowMs,
      isLoading: false,
      loadFromMs: -Infinity,
    });
    this.#shrink();
    return true;
  }

  /** @param reading a reading that a tier has just returned; null: the reading in memory is used */
  decide(
    sku_id: string,
    order_detail_id: string,
    nowMs: DeadlineMs,
    reading: StockReading | null = null,
  ): PrecheckDecision {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return 'pass';
    entry.usedMs = nowMs;
    const known = reading ?? entry.reading;
    // Without the ids of the SKU, no id can be recognized as new.
    if (known === null || entry.ids === null || entry.ids.filter === null) return 'pass';
    if (entry.ids.filter.has(order_detail_id)) return 'pass';
    return entry.ids.version === known.version && mayRefuseAt(known, nowMs) ? 'refuse' : 'ask';
  }

  readingOf(sku_id: string): StockReading | null {
    return this.#entries.get(sku_id)?.reading ?? null;
  }

  /** SKUs that were requested since `usedSinceMs`, and have no reading since `knownSinceMs`. */
  due(usedSinceMs: DeadlineMs, knownSinceMs: DeadlineMs): string[] {
    const due: string[] = [];
    for (const { sku_id, reading, usedMs } of this.#entries.values())
      if (usedMs >= usedSinceMs && (reading === null || reading.asOfMs < knownSinceMs)) due.push(sku_id);
    return due;
  }

  /**
   * Takes over a reading.
   *
   * @returns whether the caller must read the ids of the SKU: they are needed, and not being read
   */
  update(reading: StockReading): boolean {
    const entry = this.#entries.get(reading.sku_id);
    if (entry === undefined) return false;
    if (entry.reading !== null && !isLater(reading, entry.reading)) return false;
    if (!reading.isEmpty) {
      // If units are left, the SKU is forgotten, and the next refusal adds it again. If a change of its rows is under
      // way, the next reading decides.
      if (reading.leaved_amount !== 0 && !entry.isLoading) this.forget(reading.sku_id);
      else entry.reading = null;
      return false;
    }
    entry.reading = reading;
    // The last entry is the last that `#shrink` removes.
    this.#entries.delete(reading.sku_id);
    this.#entries.set(reading.sku_id, entry);
    if (entry.isLoading || entry.ids?.version === reading.version || reading.asOfMs < entry.loadFromMs) return false;
    entry.isLoading = true;
    return true;
  }

  /** @param ids null: they could not be read; the next read begins after `FAILED_MS` */
  updateIds(sku_id: string, ids: ReplayIds | null, nowMs: DeadlineMs): void {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return;
    entry.isLoading = false;
    entry.loadFromMs = nowMs + (ids === null ? FAILED_MS : AGAIN_MS);
    this.#idCount += (ids?.filter?.size ?? 0) - (entry.ids?.filter?.size ?? 0);
    entry.ids = ids;
    this.#shrink();
  }

  forget(sku_id: string): void {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return;
    this.#idCount -= entry.ids?.filter?.size ?? 0;
    this.#entries.delete(sku_id);
  }

  /**
   * Forgets a tenth at once: to find the first entry of a map means to skip all entries that were deleted before it.
   */
  #shrink(): void {
    if (this.#entries.size <= SKUS_MAX && this.#idCount <= IDS_MAX) return;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= SKUS_MAX * KEPT && this.#idCount <= IDS_MAX * KEPT) return;
      this.forget(oldest);
    }
  }
}
