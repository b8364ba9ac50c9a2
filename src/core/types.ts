/**
 * The types that all other files share. `docs/glossary.md` defines the terms. Fields have the same spelling from the
 * wire to the database (`sku_id`, `leaved_amount`), so that no name is translated in between.
 */

/** The most units of one SKU, and the largest adjustment: 2^53 - 1, exact in a JavaScript number. */
export const STOCK_LIMIT = Number.MAX_SAFE_INTEGER;

/** Units in one line of an order, at most. */
export const QUANTITY_LIMIT = 1_000_000;

/** Lines in one request, at most. */
export const LINES_LIMIT = 500;

/** The key of a deduction: an order detail belongs to one SKU. */
export interface FlowKey {
  readonly sku_id: string;
  readonly order_detail_id: string;
}

/** One of the rows of a hot SKU, in one layout. */
export interface RowRef {
  readonly sub_row: number;
  readonly epoch: number;
}

/** The shard and the sub-row of a stock row. */
export interface RowPlace {
  readonly shard: ShardIndex;
  readonly sub_row: number;
}

/** Units that move from one row of a SKU to another. Source and destination never change. */
export interface Transfer {
  readonly sku_id: string;
  /** 32 hexadecimal digits. */
  readonly transfer_id: string;
  readonly amount: number;
  readonly from: RowPlace;
  readonly to: RowPlace;
}

/** Names the row of a SKU. Absent: the only row of an unsplit SKU, on the shard that owns its slot. */
export interface WithRow {
  readonly row?: RowRef;
}

/** One line of an order: take `quantity` units of a SKU. */
export interface Line extends FlowKey {
  readonly quantity: number;
}

/** A line in the record of a cart, with the shard that holds it. Records of older gateways have no shard. */
export interface CartLine extends Line {
  readonly shard?: ShardIndex;
}

/** The journal row of one deduction. */
export interface Flow extends Line, WithTransaction {
  readonly order_id: string;
  /** The attempt of the cart that holds or held it; 0 for an order on one shard. */
  readonly attempt: number;
  /** Units returned so far, 0 to `quantity`. */
  readonly returned: number;
  /**
   * `pending`: held by a cart; this shard has not recorded its commit decision. `void`: a hold that was undone; it
   * binds nothing. `moved`: a pointer.
   */
  readonly status: 'deducted' | 'pending' | 'cancelled' | 'void' | 'moved';
  /** Of a pointer: the shard that has the flow. */
  readonly moved_to?: ShardIndex | null;
  readonly sub_row: number;
  /** ISO 8601 in UTC with microseconds, by the clock of the shard. */
  readonly created_at: string;
}

/** The transaction of an order over several shards. Each attempt to sell the order has another one. */
export interface OrderTransaction {
  /**
   * 32 hexadecimal digits: its beginning in ms since 1970 by the clock of the coordinator (12), a random name of its
   * gateway (12), and a number (8).
   */
  readonly transaction_id: string;
  /** The shard that has its record, or will have it. */
  readonly coordinator: ShardIndex;
}

/** A part of a record, a flow or a hold: the transaction that wrote it. */
export interface WithTransaction {
  /** Absent: the flow belongs to an order on one shard, or to a cart of the protocol with attempts. */
  readonly transaction?: OrderTransaction;
}

/** One attempt to sell an order over several shards. */
export interface CartKey extends WithTransaction {
  readonly order_id: string;
  /** From 1; 0 for an attempt that is named by its transaction. */
  readonly attempt: number;
}

/** A line that is held for a cart. */
export interface Hold extends FlowKey, CartKey {}

/** A hold, and the shard on which it was found. */
export interface FoundHold extends Hold {
  readonly shard: ShardIndex;
}

/** The commit decision of a cart. */
export type CommitDecision = 'committed' | 'aborted';

/** The units left of a SKU in one of its stock rows. */
export interface StockRow {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly leaved_amount: number;
  /** The SKU is split, or its layout is being changed to or from one row. */
  readonly isSplit: boolean;
}

/** Whether and from when a SKU is sold. */
export interface Sale {
  readonly state: 'on' | 'paused';
  /** As `2026-11-27T08:00:00.000Z`, by the clock of the shard; null: at once, or the sale is paused. */
  readonly from: string | null;
}

/** The index of a shard in `shards.config.ts`, from 0. */
export type ShardIndex = number;

/** A time on the monotonic clock (`performance.now()`), in milliseconds, after which the caller no longer waits. */
export type DeadlineMs = number;

/** A unique text for a stock row. For an unsplit SKU it is the SKU's id. */
export function stockRowKeyText(sku_id: string, sub_row: number): string {
  return sub_row === 0 ? sku_id : `${sku_id}\0${sub_row}`;
}

/** The stock row that a text of `stockRowKeyText` names. */
export function stockRowOfKeyText(text: string): { readonly sku_id: string; readonly sub_row: number } {
  const [sku_id = '', sub_row = '0'] = text.split('\0');
  return { sku_id, sub_row: Number(sub_row) };
}

/** A unique text for a flow key. Ids contain no control characters, so NUL separates them unambiguously. */
export function flowKeyText(key: FlowKey): string {
  return `${key.sku_id}\0${key.order_detail_id}`;
}
