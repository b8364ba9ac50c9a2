import type { CartKey, FlowKey, Line, Verdict } from './nouns.ts';

/** Take the stock of every line, or of none. All lines lie on one shard. */
export interface Deduct {
  readonly kind: 'deduct';
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** Take the stock of those lines of a cart that lie on one shard, until the cart is decided. */
export interface HoldLines extends CartKey {
  readonly kind: 'hold';
  readonly lines: readonly Line[];
}

/** Carry out what was decided of a cart: its holds become deductions, or are undone and cannot come later. */
export interface SettleLines extends CartKey {
  readonly kind: 'settle';
  readonly verdict: Verdict;
  /** On one shard. With their quantities where the caller knows them; a fence against a late hold has 1 otherwise. */
  readonly lines: readonly Line[];
}

/** Take back units of one deduction. */
export interface Return extends FlowKey {
  readonly kind: 'return';
  readonly return_id: string;
  readonly quantity: number;
}

/** Give back the rest of lines, and block those that were not deducted yet, for good. All lie on one shard. */
export interface Cancel {
  readonly kind: 'cancel';
  readonly order_id: string;
  readonly lines: readonly FlowKey[];
}

/** Restock (`delta` above 0) or write off (below 0). */
export interface Adjust {
  readonly kind: 'adjust';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly reason: string | null;
}

/** Put a SKU on the shelf with its opening stock. */
export interface Open {
  readonly kind: 'open';
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** Let a SKU be sold or not. */
export interface SetSale {
  readonly kind: 'sale';
  readonly sku_id: string;
  readonly state: 'on' | 'paused';
  /** Sold from then on by the clock of the shard, as `2026-11-20T10:00:00.000Z`; null: at once. */
  readonly from: string | null;
}

/** Everything an engine can be asked to change. */
export type Operation = Deduct | HoldLines | SettleLines | Return | Cancel | Adjust | Open | SetSale;

/** The SKUs an operation touches, in the order they were named, repeats included. */
export function skusOf(operation: Operation): string[] {
  return 'lines' in operation ? operation.lines.map((line) => line.sku_id) : [operation.sku_id];
}
