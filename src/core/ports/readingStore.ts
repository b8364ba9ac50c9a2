import type { ReadingSource } from './readingSource.ts';
import type { StockReading } from '../precheck/stockReading.ts';

/** A source that also stores readings of other sources. */
export interface ReadingStore extends ReadingSource {
  /**
   * Stores readings, unless it has later ones. Never throws: readings that were not stored are read from other sources.
   */
  store(readings: readonly StockReading[]): Promise<void>;
}
