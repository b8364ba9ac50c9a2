import type { Deduct, Receive, Send } from '../operation.ts';
import type { CartKey, CartLine, Line } from '../types.ts';

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
  /** The id of a return, an adjustment, a transfer or a transaction; the attempt of a cart; the number of a layout. */
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
