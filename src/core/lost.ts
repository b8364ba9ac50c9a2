import type { CartKey, CartLine, DeadlineMs, Flow, FlowKey, Line, ShardIndex } from './nouns.ts';
import type { Operation } from './operation.ts';
import type { Reached } from './generations.ts';

/** What can be missing on a shard that was restored from a backup. */
export type LostKind = 'sku' | 'flow' | 'flow_state' | 'return' | 'adjustment' | 'cart' | 'transfer' | 'layout';

/** A cart that was committed, with the lines that are known of it. */
export interface SoldCart extends CartKey {
  readonly lines: readonly CartLine[];
}

/** What brings something back: doing it again, or writing down again that a cart was sold. */
export type Redo = Operation | { readonly kind: 'record'; readonly cart: SoldCart };

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
  /** What brings it back; null: people must judge it. */
  readonly redo: Redo | null;
}

/** A line that was sold, as the shop's own books have it. */
export interface OrderedLine extends Line {
  readonly order_id: string;
  /** Where the book says so. */
  readonly toldBy: string;
}

/** The tables that are held against an older or younger state of themselves. */
export const PAST_TABLES = ['stock', 'adjustment', 'cart', 'flow', 'flow_return'] as const;
export type PastTable = (typeof PAST_TABLES)[number];

/** Ids and numbers, in the order of the table's key. */
export type PastKey = readonly (string | number)[];

/** A row of one of those tables. */
export interface PastRow {
  readonly key: PastKey;
  /** What must be alike for the rows to be alike. */
  readonly state: string;
  readonly order_id: string | null;
  /** Units: of the opening, sold, returned, or the delta of an adjustment. */
  readonly quantity: number;
  readonly status: Flow['status'] | null;
  readonly reason: string | null;
  /** Of a cart. */
  readonly lines: readonly CartLine[] | null;
}

/** Reads one state of a shard: the restored one, or what is left of the one before. */
export interface StateReader {
  /** Rows of a table in the order of their keys' bytes. @param after the key of the last page's last row; null: from the first */
  readPage(shard: ShardIndex, table: PastTable, after: PastKey | null, max: number, deadlineMs: DeadlineMs): Promise<readonly PastRow[]>;
}

/** One side of a transfer, as the shard on that side has it. */
export interface TransferTrace {
  readonly sku_id: string;
  /** 32 hexadecimal digits. */
  readonly transfer_id: string;
  readonly direction: 'out' | 'in';
  readonly amount: number;
  /** Units that left and are not known to have come: they will be brought once more. */
  readonly isOpen: boolean;
}

/** Units that a cart sold; its record may lie on any shard. */
export interface CartSale extends CartKey, Line {}

/** Something a shard knows of another one. */
export interface Traces {
  /** Units that went to the other shard, or came from it. */
  readonly transfers: readonly TransferTrace[];
  /** SKUs that have rows in a layout here, with the newest. */
  readonly layouts: readonly { readonly sku_id: string; readonly epoch: number }[];
}

/** Reads, and accepts, a restored shard. */
export interface RestoredShards {
  /** What a shard has written down of itself and of the others. */
  readReached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Reached>;
  /** @param sinceMs flows made before are of no interest, in milliseconds since 1970 */
  readTraces(shard: ShardIndex, of: ShardIndex, sinceMs: number, deadlineMs: DeadlineMs): Promise<Traces>;
  /** A page of what carts have sold on a shard since then, in the order of the flows' keys. @param after the last flow of the page before; null: from the first */
  readCartSales(shard: ShardIndex, sinceMs: number, after: FlowKey | null, max: number, deadlineMs: DeadlineMs): Promise<readonly CartSale[]>;
  /** Which of some transfers stand on a shard, on the given side. @returns their ids */
  findTransfers(shard: ShardIndex, transfer_ids: readonly string[], direction: 'out' | 'in', deadlineMs: DeadlineMs): Promise<ReadonlySet<string>>;
  /** The last layout of some SKUs, as the shard has it written down; those without a record are missing. */
  readLayouts(shard: ShardIndex, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<ReadonlyMap<string, number>>;
  /** Writes down that a cart was sold, unless it is written down as aborted. @returns whether it is written down as sold now */
  recordCart(shard: ShardIndex, cart: SoldCart, deadlineMs: DeadlineMs): Promise<boolean>;
  /** Keeps some SKUs from being sold out of any row on a shard, until somebody puts them on sale again. */
  pause(shard: ShardIndex, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<void>;
  /**
   * Lets a shard be sold from again: it counts as further than it is known to have come, and its rows as younger than anything
   * that is remembered of them.
   */
  accept(shard: ShardIndex, known: number, deadlineMs: DeadlineMs): Promise<void>;
}
