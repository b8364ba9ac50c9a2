/**
 * The words of this code base. They are the field's own and keep their spelling from the wire to the
 * database (`sku_id`, `leaved_amount`), so that nothing is translated on the way.
 *
 * SKU            one thing a shop sells, named by `sku_id`
 * stock row      what is left of a SKU; one row per SKU and sub-row
 * flow           one journal row per effect on stock; a deduction's flow is also its idempotency record
 * order detail   one line of an order; together with its SKU the key of a deduction
 * cart           an order over several shards: held on each, decided once, settled after
 * hold           stock taken for a cart that is not decided yet; its flow is `pending`
 * tombstone      a cancelled flow that was never deducted: it blocks its ids for good
 * sub-row        one of several stock rows of a hot SKU, each on a shard of its own as long as there are enough
 * layout, epoch  where the sub-rows of a SKU lie, and the number of that arrangement; every row carries it
 * transfer       units on their way from one row of a SKU to another
 * pointer        a flow that says no more than on which shard the flow under its ids lies
 * slot           one of 1,024 parts of the key space; the unit that shards own and hand over
 * shard          one MySQL schema with its own tables; shards may share a server
 * replay         the same ids sent again, answered as the first time
 * engine         something that can deduct and adjust; everything else only reads or refuses
 */

/** Largest number of units of one SKU, and largest step of an adjustment: 2^53 - 1, exact in a JavaScript number. */
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

/** Which of a hot SKU's rows is meant, and in which layout. */
export interface RowRef {
  readonly sub_row: number;
  readonly epoch: number;
}

/** Where a stock row lies. */
export interface RowPlace {
  readonly shard: ShardIndex;
  readonly sub_row: number;
}

/** Units on their way from one row of a SKU to another. Its places never change. */
export interface Transfer {
  readonly sku_id: string;
  /** 32 hexadecimal digits. */
  readonly transfer_id: string;
  readonly amount: number;
  readonly from: RowPlace;
  readonly to: RowPlace;
}

/** Something about a SKU and the row that it goes to; absent: the one row of a SKU that is not split, at its slot's owner. */
export interface Placed {
  readonly row?: RowRef;
}

/** One line of an order: take `quantity` units of a SKU. */
export interface Line extends FlowKey {
  readonly quantity: number;
}

/** A line as the record of its cart keeps it; with the shard where it was held, from when records have that. */
export interface CartLine extends Line {
  readonly shard?: ShardIndex;
}

/** What the journal holds of one deduction. */
export interface Flow extends Line {
  readonly order_id: string;
  /** The attempt of the cart that holds or held it; 0 for an order on one shard. */
  readonly attempt: number;
  /** Units that came back so far, 0 to `quantity`. */
  readonly returned: number;
  /**
   * `pending`: held by a cart that is not decided, as far as the shard knows. `void`: a hold that was undone; it binds nothing.
   * `moved`: a pointer.
   */
  readonly status: 'deducted' | 'pending' | 'cancelled' | 'void' | 'moved';
  /** Of a pointer: where the flow lies. */
  readonly moved_to?: ShardIndex | null;
  readonly sub_row: number;
  /** ISO 8601 in UTC with microseconds, by the clock of the shard. */
  readonly created_at: string;
}

/** One attempt to sell an order over several shards. */
export interface CartKey {
  readonly order_id: string;
  /** From 1. */
  readonly attempt: number;
}

/** A flow that is held for a cart. */
export interface Hold extends FlowKey, CartKey {}

/** A hold and the shard where it was met. */
export interface FoundHold extends Hold {
  readonly shard: ShardIndex;
}

/** How a cart ended. */
export type Verdict = 'committed' | 'aborted';

/** What is left of one SKU in one of its stock rows. */
export interface StockRow {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly leaved_amount: number;
  /** One of several, or on the way there or back. */
  readonly isSplit: boolean;
}

/** Whether and from when a SKU is sold. */
export interface Sale {
  readonly state: 'on' | 'paused';
  /** As `2026-11-27T08:00:00.000Z`, by the clock of the shard; null: at once, or the sale is paused. */
  readonly from: string | null;
}

/** A shard by its place in `shards.config.ts`, from 0. */
export type ShardIndex = number;

/** A point on the monotonic clock (`performance.now()`), in milliseconds: after it nobody waits any more. */
export type DeadlineMs = number;

/** One text per stock row; of a SKU that is not split, its id. */
export function shelfKeyText(sku_id: string, sub_row: number): string {
  return sub_row === 0 ? sku_id : `${sku_id}\0${sub_row}`;
}

/** The row that such a text names. */
export function rowOfKeyText(text: string): { readonly sku_id: string; readonly sub_row: number } {
  const [sku_id = '', sub_row = '0'] = text.split('\0');
  return { sku_id, sub_row: Number(sub_row) };
}

/** One text per flow key. Ids hold no control character, so NUL parts them without doubt. */
export function flowKeyText(key: FlowKey): string {
  return `${key.sku_id}\0${key.order_detail_id}`;
}
