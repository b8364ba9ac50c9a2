import type { Line } from './nouns.ts';

/** Take the stock of every line, or of none. All lines lie on one shard. */
export interface Deduct {
  readonly kind: 'deduct';
  readonly order_id: string;
  readonly lines: readonly Line[];
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

/** Everything an engine can be asked to change. */
export type Operation = Deduct | Adjust | Open;

/** The SKUs an operation touches, in the order they were named, repeats included. */
export function skusOf(operation: Operation): string[] {
  return operation.kind === 'deduct' ? operation.lines.map((line) => line.sku_id) : [operation.sku_id];
}
