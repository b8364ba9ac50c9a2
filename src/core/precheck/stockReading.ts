import type { DeadlineMs, ShardIndex } from '../types.ts';

/**
 * The restock delay: on a shard with an active tier, units that come into an empty row cannot be sold for this time. In
 * this time every reading that shows the SKU as sold out expires.
 */
export const RESTOCK_DELAY_MS = 1_000;

/**
 * A reading may refuse orders until it is this old. The rest of the restock delay allows for clocks of different speed:
 * one twentieth is more than any two clocks differ in a second.
 */
export const READING_VALID_MS = 950;

/** The units left in one row of a SKU. */
export interface ReadingRow {
  readonly shard: ShardIndex;
  readonly sub_row: number;
  readonly leaved_amount: number;
}

/** A cached stock reading: all rows of a SKU together, as they were at one moment. Tiers keep these. */
export interface StockReading {
  readonly sku_id: string;
  /** Null: there is no such SKU. */
  readonly leaved_amount: number | null;
  /** No units are left, held or in transfer between rows: no order can be accepted until units come in. */
  readonly isEmpty: boolean;
  /** Raised by every change of any of its rows. Of two readings, the one with the higher version is the later. */
  readonly version: number;
  readonly mode: 'single' | 'hot';
  readonly rows: readonly ReadingRow[];
  /** The reading was true at this time of the gateway's monotonic clock or later, but not before it was requested. */
  readonly asOfMs: DeadlineMs;
  /**
   * The rows were read at different moments, so units that move may be missing or counted twice. Only on readings that
   * come from the shards themselves.
   */
  readonly isInexact?: boolean;
}

/** Whether the first of two readings of a SKU is the later. */
export function isLater(
  a: Pick<StockReading, 'version' | 'asOfMs'>,
  b: Pick<StockReading, 'version' | 'asOfMs'>,
): boolean {
  // A shard that lost commits has gone back to an earlier version. So a much younger reading is the later one.
  return (
    a.asOfMs > b.asOfMs + READING_VALID_MS || a.version > b.version || (a.version === b.version && a.asOfMs > b.asOfMs)
  );
}

/** Whether a reading may refuse an order now. */
export function mayRefuseAt({ isEmpty, asOfMs }: StockReading, nowMs: DeadlineMs): boolean {
  return isEmpty && nowMs < asOfMs + READING_VALID_MS;
}
