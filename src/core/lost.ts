import type { Watermark, Mark, StoredWatermarks } from './generations.ts';
import type { Layout } from './layout.ts';
import type { CartKey, CartLine, DeadlineMs, Line, ShardIndex, Transfer } from './nouns.ts';
import type { Deduct, Receive, Send } from './operation.ts';

/** The kinds of records that can be missing on a shard that was restored from a backup. */
export type MissingRecordKind =
  'sku' | 'sale' | 'flow' | 'flow_state' | 'pointer' | 'return' | 'adjustment' | 'cart' | 'transfer' | 'layout';

/** A cart that was committed, with its known lines. */
export interface SoldCart extends CartKey {
  readonly lines: readonly CartLine[];
}

/** A way to restore a missing record: to repeat the operation, or to write the record of a committed cart again. */
export type Redo = Deduct | Send | Receive | { readonly kind: 'record'; readonly cart: SoldCart };

/** A record that is missing on a restored shard, although another source has it. */
export interface MissingRecord {
  readonly kind: MissingRecordKind;
  /** The source that has the record, for operators. */
  readonly toldBy: string;
  readonly sku_id: string | null;
  readonly order_id: string | null;
  readonly order_detail_id: string | null;
  /** The id of a return, an adjustment or a transfer; the attempt of a cart; the number of a layout. */
  readonly id: string | null;
  /** Units; null if the record has none. */
  readonly quantity: number | null;
  /** A way to restore the record without a reference copy; null: an operator must decide. */
  readonly redo: Redo | null;
}

/** A line that was sold, according to the shop's own order list. */
export interface OrderedLine extends Line {
  readonly order_id: string;
  /** The place in the shop's list. */
  readonly toldBy: string;
}

/** The tables that make up the state of a shard. Only rows of completed holds are ever deleted from them. */
export const STATE_TABLES = [
  'stock',
  'hot_sku',
  'adjustment',
  'transfer',
  'cart',
  'flow',
  'flow_return',
  'cart_hold',
] as const;
export type StateTable = (typeof STATE_TABLES)[number];

/** Bytes and numbers, in the order of the table's key. */
export type StateKey = readonly (Buffer | number)[];
export type StateCell = Buffer | string | number | null;

/** A stored row of one of those tables. */
export interface StateRow {
  readonly key: StateKey;
  /** The same for rows that differ only in columns that count changes. */
  readonly state: string;
  readonly cells: Readonly<Record<string, StateCell>>;
}

/** Reads one state of a shard: the restored state, or the reference copy. */
export interface StateReader {
  /**
   * Reads rows of a table in the order of their keys.
   *
   * @param after the key of the last row of the previous page; null: start with the first row
   */
  readPage(
    shard: ShardIndex,
    table: StateTable,
    after: StateKey | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StateRow[]>;
}

/** Changes the rows of a shard to those of another state. */
export interface StateWriter {
  /** Writes rows. A row replaces the one that has the same key. */
  putRows(shard: ShardIndex, table: StateTable, rows: readonly StateRow[], deadlineMs: DeadlineMs): Promise<void>;
  /** Deletes the rows of completed holds. */
  deleteHolds(shard: ShardIndex, keys: readonly StateKey[], deadlineMs: DeadlineMs): Promise<void>;
}

/** One side of a transfer, as the shard on that side stores it. */
export interface TransferTrace extends Transfer {
  readonly direction: 'out' | 'in';
  /** The debit is committed and no credit is recorded: a gateway will send the credit once more. */
  readonly isOpen: boolean;
}

/** Units that a cart sold. The record of the cart may be on any shard. */
export interface CartSale extends CartKey, Line {}

/** Sales of carts. Flows with damaged ids are left out, because no caller can name them. */
export interface CartSalesPage {
  readonly sales: readonly CartSale[];
  readonly next: SalePosition | null;
}

/** The end of a page of sales. The ids are bytes, because a damaged id may not be text. */
export interface SalePosition {
  readonly skuIdHex: string;
  readonly orderDetailIdHex: string;
}

/** A stock row that belongs or belonged to a layout. */
export interface SplitRow {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly epoch: number;
  readonly isOpen: boolean;
}

/** The layout of a SKU that is or was split. */
export interface SplitLayout extends Pick<
  Layout,
  'state' | 'epoch' | 'lastEpoch' | 'placement' | 'earlierPlacements' | 'shards'
> {
  /** Milliseconds since 1970, by the clock of its shard. */
  readonly changedAtMs: number;
}

/** The rows of split SKUs on a shard, and the layouts of the SKUs whose slots the shard owns. */
export interface SplitSkus {
  readonly rows: readonly SplitRow[];
  readonly layouts: ReadonlyMap<string, SplitLayout>;
  /** Layouts that cannot be decoded. Missing rows of these SKUs may not be found. */
  readonly unreadable: readonly { readonly sku_id: string; readonly reason: string }[];
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
   * only because none was found is no such decision, and is overruled.
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
