import type { StockReading } from '../precheck/stockReading.ts';
import type { DeadlineMs } from '../types.ts';

/** A source of readings. It may have none, and then returns null; a reading that it returns must be true. */
export interface ReadingSource {
  /**
   * @returns a reading for each SKU, in the order of the SKUs; null: the source has none that is certain
   * @throws when the source cannot be reached, or does not answer in time
   */
  read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (StockReading | null)[]>;
}
