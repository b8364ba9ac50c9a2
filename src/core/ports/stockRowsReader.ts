import type { DeadlineMs, ShardIndex } from '../types.ts';

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
