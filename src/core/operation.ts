import { shelfKeyText } from './nouns.ts';
import type { CartKey, FlowKey, Line, Placed, Transfer, Verdict } from './nouns.ts';

/** A line and the row that it takes from. */
export interface PlacedLine extends Line, Placed {}

/** The key of a deduction and the row where it stands, or would. */
export interface PlacedKey extends FlowKey, Placed {}

/** What was fetched for an operation: it comes in together with what the operation takes, or not at all. */
interface Funded {
  readonly credits?: readonly Transfer[];
}

/** Take the stock of every line, or of none. All lines lie on one shard. */
export interface Deduct extends Funded {
  readonly kind: 'deduct';
  readonly order_id: string;
  readonly lines: readonly PlacedLine[];
}

/** Take the stock of those lines of a cart that lie on one shard, until the cart is decided. */
export interface HoldLines extends CartKey, Funded {
  readonly kind: 'hold';
  readonly lines: readonly PlacedLine[];
}

/** Carry out what was decided of a cart: its holds become deductions, or are undone and cannot come later. */
export interface SettleLines extends CartKey {
  readonly kind: 'settle';
  readonly verdict: Verdict;
  /** On one shard. With their quantities where the caller knows them; a fence against a late hold has 1 otherwise. */
  readonly lines: readonly PlacedLine[];
}

/** Take back units of one deduction. */
export interface Return extends PlacedKey {
  readonly kind: 'return';
  readonly return_id: string;
  readonly quantity: number;
}

/** Give back the rest of lines, and block those that were not deducted yet, for good. All lie on one shard. */
export interface Cancel {
  readonly kind: 'cancel';
  readonly order_id: string;
  readonly lines: readonly PlacedKey[];
}

/** Restock (`delta` above 0) or write off (below 0). */
export interface Adjust extends Placed, Funded {
  readonly kind: 'adjust';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly reason: string | null;
}

/** Take units off a row, to bring them to another one of the same SKU. */
export interface Send extends Transfer {
  readonly kind: 'send';
  /** The one that the row was seen open in; null: it was closed, and may be in any. */
  readonly epoch: number | null;
}

/** Put units that were sent into their row; done again it changes nothing. */
export interface Receive extends Transfer {
  readonly kind: 'receive';
}

/** Put a SKU on the shelf with its opening stock. */
export interface Open {
  readonly kind: 'open';
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** Let a SKU be sold or not. */
export interface SetSale extends Placed {
  readonly kind: 'sale';
  readonly sku_id: string;
  readonly state: 'on' | 'paused';
  /** Sold from then on by the clock of the shard, as `2026-11-20T10:00:00.000Z`; null: at once. */
  readonly from: string | null;
}

/** Everything an engine can be asked to change. */
export type Operation = Deduct | HoldLines | SettleLines | Return | Cancel | Adjust | Send | Receive | Open | SetSale;

/** The SKUs an operation touches, in the order they were named, repeats included. */
export function skusOf(operation: Operation): string[] {
  return 'lines' in operation ? operation.lines.map((line) => line.sku_id) : [operation.sku_id];
}

/** Those of them whose slots the shard must own; the others are fenced by the rows they name. */
export function ownedSkusOf(operation: Operation): string[] {
  if ('lines' in operation) return operation.lines.filter(({ row }) => row === undefined).map((line) => line.sku_id);
  return namesRow(operation) ? [] : [operation.sku_id];
}

/** The stock rows an operation goes to, as `shelfKeyText`, repeats included. */
export function shelvesOf(operation: Operation): string[] {
  if ('lines' in operation) return operation.lines.map(({ sku_id, row }) => shelfKeyText(sku_id, row?.sub_row ?? 0));
  if (operation.kind === 'send') return [shelfKeyText(operation.sku_id, operation.from.sub_row)];
  if (operation.kind === 'receive') return [shelfKeyText(operation.sku_id, operation.to.sub_row)];
  return [shelfKeyText(operation.sku_id, 'row' in operation ? (operation.row?.sub_row ?? 0) : 0)];
}

/** Whether an operation is about single rows of a split SKU; a sale is about all that lie on a shard. */
export function namesRow(operation: Operation): boolean {
  if ('lines' in operation) return operation.lines.some(({ row }) => row !== undefined);
  return (
    operation.kind === 'send' ||
    operation.kind === 'receive' ||
    ('row' in operation && operation.row !== undefined && operation.kind !== 'sale')
  );
}
