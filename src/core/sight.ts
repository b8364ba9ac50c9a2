import type { DeadlineMs, ShardIndex } from './nouns.ts';

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

/** A source of readings. It may have none, and then returns null; a reading that it returns must be true. */
export interface ReadingSource {
  /**
   * @returns a reading for each SKU, in the order of the SKUs; null: the source has none that is certain
   * @throws when the source cannot be reached, or does not answer in time
   */
  read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (StockReading | null)[]>;
}

/** A source that also stores readings of other sources. */
export interface ReadingStore extends ReadingSource {
  /**
   * Stores readings, unless it has later ones. Never throws: readings that were not stored are read from other sources.
   */
  store(readings: readonly StockReading[]): Promise<void>;
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

/** The rows of a SKU on one shard, in one read. */
export interface StockRowsRead {
  readonly sku_id: string;
  readonly rows: readonly StockRowRead[];
  /** Whether the shard owns the SKU's slot. */
  readonly isOwner: boolean;
  /** Whether the shard has a layout of the SKU. Then the SKU may have more rows on other shards. */
  readonly hasLayout: boolean;
  /** Whether rows here have been debited for transfers whose credit is not recorded. */
  readonly hasOpenTransfers: boolean;
  /** No transaction was changing any of the rows. So the read shows their latest state, not only the committed one. */
  readonly isCertain: boolean;
}

export interface StockRowRead {
  readonly sub_row: number;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly version: number;
}

/** Reads from the primaries the rows that readings are made of. */
export interface StockRowsReader {
  /**
   * False while new units of an empty row may be sold at once on the shard: then no reading of it may refuse an order.
   */
  isReady(shard: ShardIndex): boolean;
  /**
   * Reads the rows of some SKUs.
   *
   * @param isForSale takes shared locks on the rows for a moment; without them no row is certain
   * @returns one read per SKU, in the order of the SKUs
   * @throws StockReadFailed when the shard cannot be read
   */
  readRows(
    shard: ShardIndex,
    sku_ids: readonly string[],
    isForSale: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StockRowsRead[]>;
  /**
   * Reads a page of the ids of all flows of a SKU on a shard, in any status.
   *
   * @param after `next` of the previous page; empty: start with the first id
   * @returns `next`: the position of the next page; null: this was the last page
   */
  readIds(
    shard: ShardIndex,
    sku_id: string,
    after: string,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<{ readonly ids: readonly string[]; readonly next: string | null }>;
}

/** A shard could not be read; the message is for the log. */
export class StockReadFailed extends Error {}
