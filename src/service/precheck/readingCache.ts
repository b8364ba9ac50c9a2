import { isLater } from '../../core/precheck/stockReading.ts';
import type { ReadingStore } from '../../core/ports/readingStore.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';

/** The largest number of SKUs, including SKUs that do not exist. Above it, the oldest readings are dropped. */
const SKUS_MAX = 50_000;
const KEPT = 0.9;

/** The latest reading of each SKU, for answers that may be a little old. */
export class ReadingCache implements ReadingStore {
  readonly #readings = new Map<string, StockReading>();

  read(sku_ids: readonly string[]): Promise<readonly (StockReading | null)[]> {
    return Promise.resolve(sku_ids.map((sku_id) => this.#readings.get(sku_id) ?? null));
  }

  store(readings: readonly StockReading[]): Promise<void> {
    for (const reading of readings) {
      const known = this.#readings.get(reading.sku_id);
      if (known !== undefined && !isLater(reading, known)) continue;
      this.#readings.delete(reading.sku_id);
      this.#readings.set(reading.sku_id, reading);
    }
    if (this.#readings.size > SKUS_MAX) this.#shrink();
    return Promise.resolve();
  }

  /** Drops a tenth at once: to find the first entry of a map means to skip all entries that were deleted before it. */
  #shrink(): void {
    for (const oldest of this.#readings.keys()) {
      if (this.#readings.size <= SKUS_MAX * KEPT) return;
      this.#readings.delete(oldest);
    }
  }
}
