import type { NotDone, OutcomeInDoubt, WrongShard } from '../outcome.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** A SKU to be opened. */
export interface OpeningStock {
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** All of the requested SKUs are open. */
export interface OpenedMany {
  readonly is: 'opened';
  /** SKUs that this call opened. */
  readonly openedNow: number;
  /** SKUs that were open with another opening stock, and that opening stock. They were not changed. */
  readonly conflicting: readonly OpeningStock[];
}

/** Opens many SKUs at a time, for the import of a whole catalogue. */
export interface StockOpener {
  /**
   * Opens all of some SKUs in one transaction.
   *
   * @param stocks at least one, no SKU twice, all of slots that this shard owns
   */
  openMany(
    shard: ShardIndex,
    stocks: readonly OpeningStock[],
    deadlineMs: DeadlineMs,
  ): Promise<OpenedMany | NotDone | WrongShard | OutcomeInDoubt>;
}
