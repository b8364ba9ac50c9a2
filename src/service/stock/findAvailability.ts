import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { ReadingSource } from '../../core/ports/readingSource.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import type { SkuStock } from './readSku.ts';

/** How fresh an answer must be. `cached`: it may be a little old. `primary`: it is read for this request. */
export type Consistency = 'cached' | 'primary';

/** The stock of a SKU as it was at `asOfMs` of this gateway's monotonic clock, or later. */
export type AvailableStock = Pick<StockReading, 'sku_id' | 'leaved_amount' | 'mode' | 'rows' | 'asOfMs'>;

/** The largest number of SKUs whose exact reads run at once. */
const WIDTH = 8;

/** The part of the request's time that is reserved for the answer; a frozen shard may use up the rest. */
const ANSWER_MS = 200;

export interface AvailabilityPorts {
  /** Sources whose readings may be a little old, the cheapest first. None throws. */
  readonly cached: readonly ReadingSource[];
  readonly primary: ReadingSource;
  /** Reads one SKU exactly, with the units in transit between its rows. */
  readonly readSku: (sku_id: string, deadlineMs: DeadlineMs) => Promise<SkuStock | NotDone>;
  /** Writes the readings of the shards to the cache. */
  readonly cacheReadings: (readings: readonly StockReading[]) => void;
  /** The greatest age of a `cached` answer, in milliseconds. */
  readonly ageMsMax: number;
}

/**
 * Reads the units left of many SKUs, each from the cheapest source with a fresh enough reading. The shards are read
 * last.
 *
 * @returns one entry per SKU, in the order of `sku_ids`, before `deadlineMs`; null: its shard does not answer
 */
export async function findAvailability(
  ports: AvailabilityPorts,
  sku_ids: readonly string[],
  consistency: Consistency,
  deadlineMs: DeadlineMs,
): Promise<readonly (AvailableStock | null)[]> {
  const untilMs = deadlineMs - ANSWER_MS;
  const found = new Map<string, AvailableStock>();
  const inexact: string[] = [];
  let rest = [...new Set(sku_ids)];
  const take = (readings: readonly (StockReading | null)[], asOfMsMin: DeadlineMs): void => {
    for (const reading of readings)
      if (reading !== null && reading.asOfMs >= asOfMsMin) found.set(reading.sku_id, reading);
    rest = rest.filter((sku_id) => !found.has(sku_id));
  };
  for (const source of consistency === 'cached' ? ports.cached : []) {
    if (rest.length === 0) break;
    take(await source.read(rest, untilMs), performance.now() - ports.ageMsMax);
  }
  if (rest.length > 0) {
    const readings = await ports.primary.read(rest, untilMs);
    ports.cacheReadings(readings.flatMap((reading) => reading ?? []));
    // The rows of a split SKU are read at different moments, so units in transit may be missing or counted twice.
    const isExact = (reading: StockReading | null): boolean => consistency === 'cached' || reading?.isInexact !== true;
    take(readings.filter(isExact), -Infinity);
    inexact.push(...readings.flatMap((reading) => (reading === null || isExact(reading) ? [] : [reading.sku_id])));
  }
  await mapWithLimit(inexact, WIDTH, async (sku_id) => {
    const asOfMs = performance.now();
    const stock = await ports.readSku(sku_id, untilMs);
    if (stock.is !== 'found') return;
    const { mode, rows, leaved_amount } = stock;
    found.set(sku_id, { sku_id, mode, rows, leaved_amount: rows.length === 0 ? null : leaved_amount, asOfMs });
  });
  return sku_ids.map((sku_id) => found.get(sku_id) ?? null);
}
