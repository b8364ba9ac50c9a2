import type { Generation, Mark, Reached } from './generations.ts';
import type { Layout } from './layout.ts';
import type { CartKey, CartLine, DeadlineMs, Line, ShardIndex, Transfer } from './nouns.ts';
import type { Deduct, Receive, Send } from './operation.ts';

/** What can be missing on a shard that was restored from a backup. */
export type LostKind =
  'sku' | 'sale' | 'flow' | 'flow_state' | 'pointer' | 'return' | 'adjustment' | 'cart' | 'transfer' | 'layout';

/** A cart that was committed, with the lines that are known of it. */
export interface SoldCart extends CartKey {
  readonly lines: readonly CartLine[];
}

/** What brings something back: doing it again, or writing down again that a cart was sold. */
export type Redo = Deduct | Send | Receive | { readonly kind: 'record'; readonly cart: SoldCart };

/** Something that a restored shard does not hold, though somebody knows of it. */
export interface Lost {
  readonly kind: LostKind;
  /** Who knows of it, for operators. */
  readonly toldBy: string;
  readonly sku_id: string | null;
  readonly order_id: string | null;
  readonly order_detail_id: string | null;
  /** The id of a return, an adjustment or a transfer; the attempt of a cart; the number of a layout. */
  readonly id: string | null;
  /** Units; null where it is not about any. */
  readonly quantity: number | null;
  /** What brings it back without the state before; null: people must judge it. */
  readonly redo: Redo | null;
}

/** A line that was sold, as the shop's own books have it. */
export interface OrderedLine extends Line {
  readonly order_id: string;
  /** Where the book says so. */
  readonly toldBy: string;
}

/** The tables that make up the state of a shard. Nothing is ever deleted from them but holds, when they are settled. */
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

/** A row of one of those tables, as it lies there. */
export interface StateRow {
  readonly key: StateKey;
  /** Alike where rows are alike, but for what only counts changes. */
  readonly state: string;
  readonly cells: Readonly<Record<string, StateCell>>;
}

/** Reads one state of a shard: the restored one, or what is left of the one before. */
export interface StateReader {
  /** Rows of a table in the order of their keys. @param after the key of the last page's last row; null: from the first */
  readPage(
    shard: ShardIndex,
    table: StateTable,
    after: StateKey | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StateRow[]>;
}

/** Brings the rows of a shard to another state. */
export interface StateWriter {
  /** Puts rows there, in the place of those that have their keys. */
  putRows(shard: ShardIndex, table: StateTable, rows: readonly StateRow[], deadlineMs: DeadlineMs): Promise<void>;
  /** Takes holds away that are settled. */
  dropHolds(shard: ShardIndex, keys: readonly StateKey[], deadlineMs: DeadlineMs): Promise<void>;
}

/** One side of a transfer, as the shard on that side has it. */
export interface TransferTrace extends Transfer {
  readonly direction: 'out' | 'in';
  /** Units that left and are not known to have come: they will be brought once more. */
  readonly isOpen: boolean;
}

/** Units that a cart sold; its record may lie on any shard. */
export interface CartSale extends CartKey, Line {}

/** Sales that carts made. Flows with damaged ids are left out: no caller can name them. */
export interface CartSalesPage {
  readonly sales: readonly CartSale[];
  readonly next: SalePosition | null;
}

/** Where a page of sales ends. Bytes, because a damaged id may be no text. */
export interface SalePosition {
  readonly skuIdHex: string;
  readonly orderDetailIdHex: string;
}

/** A stock row that belongs to a layout, or did. */
export interface SplitRow {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly epoch: number;
  readonly isOpen: boolean;
}

/** How a SKU that is or was split lies. */
export interface SplitLayout extends Pick<Layout, 'state' | 'epoch' | 'lastEpoch' | 'places' | 'earlier' | 'shards'> {
  /** In milliseconds since 1970, by the clock of its shard. */
  readonly changedAtMs: number;
}

/** What a shard has of split SKUs: rows, and the layouts of those whose slots it owns. */
export interface Splits {
  readonly rows: readonly SplitRow[];
  readonly layouts: ReadonlyMap<string, SplitLayout>;
  /** Layouts that cannot be read; missing rows of these SKUs may go unnoticed. */
  readonly unreadable: readonly { readonly sku_id: string; readonly reason: string }[];
}

/** The result of closing a shard. */
export interface ClosedShard {
  /** Whether it carried no mark before. */
  readonly isNew: boolean;
  /** How far it has come, as it is written down under its mark. */
  readonly reached: Generation;
}

/** Reads, and accepts, a restored shard. */
export interface RestoredShards {
  /** What a shard has written down of itself and of the others. */
  readReached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Reached>;
  /** Units that went from a shard to another one, or came from it. @param sinceMs what is older is of no interest, in milliseconds since 1970 */
  readTransfers(
    shard: ShardIndex,
    other: ShardIndex,
    sinceMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly TransferTrace[]>;
  /**
   * A page of what carts have sold on a shard since then, in the order of the flows' keys.
   *
   * @param after `next` of the previous page; null: from the first
   * @returns `next`: where to go on; null: that was all
   */
  readCartSales(
    shard: ShardIndex,
    sinceMs: number,
    after: SalePosition | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage>;
  /** Which of some transfers stand on a shard, on the given side. @returns their ids */
  findTransfers(
    shard: ShardIndex,
    transfer_ids: readonly string[],
    direction: 'out' | 'in',
    deadlineMs: DeadlineMs,
  ): Promise<ReadonlySet<string>>;
  readSplits(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Splits>;
  /** Writes down that a cart was sold, unless somebody has decided otherwise; who found no record and wrote that it was aborted has not. @returns whether it is written down as sold now */
  recordCart(shard: ShardIndex, cart: SoldCart, deadlineMs: DeadlineMs): Promise<boolean>;
  /** Keeps some SKUs from being sold out of any row on a shard, until somebody puts them on sale again. */
  pause(shard: ShardIndex, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Keeps a shard from being sold from, and writes down how far it has come. One that is marked stays as it is.
   *
   * @param known the furthest that is remembered of it: a shard that shows no less is advanced to the present moment
   */
  close(shard: ShardIndex, known: Generation, deadlineMs: DeadlineMs): Promise<ClosedShard>;
  /** Writes down on one shard how far another has come. @param on where it is written down */
  noteReached(on: ShardIndex, of: ShardIndex, reached: Generation, deadlineMs: DeadlineMs): Promise<void>;
  /** Marks a closed shard otherwise. @param reached how far the state goes that is copied over it, or was */
  setMark(shard: ShardIndex, mark: Mark, reached: Generation, deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Lets a shard be sold from again: it counts as further than it is known to have come, and its rows as younger than anything
   * that is remembered of them.
   */
  accept(shard: ShardIndex, known: Generation, deadlineMs: DeadlineMs): Promise<void>;
}
