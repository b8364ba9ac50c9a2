import type { CartSalesPage, SalePosition } from '../books/cartSales.ts';
import type { SoldCart } from '../restore/missingRecord.ts';
import type { SplitSkus } from '../restore/splitSkus.ts';
import type { Mark, StoredWatermarks, Watermark } from '../restore/watermarks.ts';
import type { DeadlineMs, ShardIndex, Transfer } from '../types.ts';

/** One side of a transfer, as the shard on that side stores it. */
export interface TransferTrace extends Transfer {
  readonly direction: 'out' | 'in';
  /** The debit is committed and no credit is recorded: a gateway will send the credit once more. */
  readonly isOpen: boolean;
}

/** The result of closing a shard. */
export interface ClosedShard {
  /** Whether the shard had no mark before. */
  readonly isNew: boolean;
  /** The watermark that is stored beside the mark. */
  readonly watermark: Watermark;
}

/** Reads and accepts a restored shard. */
export interface RestoredShards {
  /** Reads the watermarks that a shard stores, of itself and of the others. */
  readWatermarks(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<StoredWatermarks>;
  /**
   * Reads the transfers from one shard to another and back.
   *
   * @param sinceMs older transfers are left out; in milliseconds since 1970
   */
  readTransfers(
    shard: ShardIndex,
    other: ShardIndex,
    sinceMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly TransferTrace[]>;
  /**
   * Reads a page of the units that carts have sold on a shard since `sinceMs`, in the order of the flows' keys.
   *
   * @param after `next` of the previous page; null: start with the first sale
   * @returns `next`: the position of the next page; null: there is none
   */
  readCartSales(
    shard: ShardIndex,
    sinceMs: number,
    after: SalePosition | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage>;
  /** Finds those of some transfers that a shard has recorded on the given side. @returns their ids */
  findTransfers(
    shard: ShardIndex,
    transfer_ids: readonly string[],
    direction: 'out' | 'in',
    deadlineMs: DeadlineMs,
  ): Promise<ReadonlySet<string>>;
  readSplits(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<SplitSkus>;
  /**
   * Writes a cart as committed, unless its record has another commit decision. A record that was written as aborted
   * only because none was found is no such decision, and is overruled. Every aborted order record was written so.
   *
   * @returns whether the record is committed now
   */
  recordCart(shard: ShardIndex, cart: SoldCart, deadlineMs: DeadlineMs): Promise<boolean>;
  /** Pauses the sale of some SKUs in every row on a shard, until an operator resumes it. */
  pause(shard: ShardIndex, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Closes a shard, so that no gateway sells from it, and stores its watermark. A shard that has a mark stays as it is.
   *
   * @param known the highest watermark recorded of it. The watermark of a shard that shows no less is advanced to the
   *   present moment.
   */
  close(shard: ShardIndex, known: Watermark, deadlineMs: DeadlineMs): Promise<ClosedShard>;
  /** Stores the watermark of one shard on another. @param on the shard that stores it */
  storeWatermark(on: ShardIndex, of: ShardIndex, reached: Watermark, deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Changes the mark of a closed shard.
   *
   * @param reached the watermark of the reference copy that is or was copied over it
   */
  setMark(shard: ShardIndex, mark: Mark, reached: Watermark, deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Reopens a shard. Its watermark is set above the highest one that is known, and the versions of its rows above all
   * versions that caches may hold.
   */
  accept(shard: ShardIndex, known: Watermark, deadlineMs: DeadlineMs): Promise<void>;
}
