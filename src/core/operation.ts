import { stockRowKeyText } from './types.ts';
import type {
  CartKey,
  CartLine,
  FlowKey,
  Line,
  ShardIndex,
  WithRow,
  WithTransaction,
  Transfer,
  CommitDecision,
} from './types.ts';

/** A line and the row that it takes from. */
export interface LineWithRow extends Line, WithRow {}

/** The key of a deduction, and the row that has or would have its flow. */
export interface KeyWithRow extends FlowKey, WithRow {}

/** Transfers fetched for an operation. Their credits are committed together with the operation, or not at all. */
interface WithTransfers {
  readonly credits?: readonly Transfer[];
}

/** Takes the stock of every line, or of none. All lines are on one shard. */
export interface Deduct extends WithTransfers, WithTransaction {
  readonly kind: 'deduct';
  readonly order_id: string;
  readonly lines: readonly LineWithRow[];
  /** On the coordinator of a transaction: the lines of the order on all shards, for the record. */
  readonly record?: readonly CartLine[];
  /** Other servers hold lines of this transaction, so the record is written even if all lines here are replays. */
  readonly isDecision?: true;
}

/** Holds the stock of those lines of a cart that are on one shard, until the cart is decided. */
export interface HoldLines extends CartKey, WithTransfers {
  readonly kind: 'hold';
  readonly lines: readonly LineWithRow[];
  /** Only find out whether the lines could be held. Nothing is changed. */
  readonly isTrial?: true;
}

/** Completes a cart on one shard: its holds become deductions, or are undone and rejected if they arrive later. */
export interface CompleteLines extends CartKey {
  readonly kind: 'settle';
  readonly decision: CommitDecision;
  /** Lines on one shard. Where the quantity is not known it is 1, for a flow that only fences off a late hold. */
  readonly lines: readonly LineWithRow[];
  /** The caller holds these lines itself, in these quantities and rows: they need not be read. */
  readonly isHeld?: true;
}

/** The operations that may have parts on several shards. */
export type JointOperation = Deduct | HoldLines | CompleteLines | Cancel;

/** The part of an operation over several shards that belongs to one of them. */
export interface ShardOperation<O extends Operation = Operation> {
  readonly shard: ShardIndex;
  readonly operation: O;
}

/** Returns units of one deduction to stock. */
export interface Return extends KeyWithRow {
  readonly kind: 'return';
  readonly return_id: string;
  readonly quantity: number;
}

/**
 * Returns the remaining units of lines, and permanently blocks the ids of lines that were not deducted yet. All lines
 * are on one shard.
 */
export interface Cancel {
  readonly kind: 'cancel';
  readonly order_id: string;
  readonly lines: readonly KeyWithRow[];
}

/** Restocks (`delta` above 0) or writes off (below 0). */
export interface Adjust extends WithRow, WithTransfers {
  readonly kind: 'adjust';
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly reason: string | null;
}

/** Debits one row for a transfer to another row of the same SKU. */
export interface Send extends Transfer {
  readonly kind: 'send';
  /** The epoch in which the row was read as open; null: the row was closed, and its epoch is not checked. */
  readonly epoch: number | null;
}

/** Credits the destination row of a transfer. Repeated, it changes nothing. */
export interface Receive extends Transfer {
  readonly kind: 'receive';
}

/** Opens a SKU with its opening stock. */
export interface Open {
  readonly kind: 'open';
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** Starts or pauses the sale of a SKU. */
export interface SetSale extends WithRow {
  readonly kind: 'sale';
  readonly sku_id: string;
  readonly state: 'on' | 'paused';
  /** The start of the sale by the clock of the shard, as `2026-11-20T10:00:00.000Z`; null: at once. */
  readonly from: string | null;
}

/** Every change that an engine can make. */
export type Operation = Deduct | HoldLines | CompleteLines | Return | Cancel | Adjust | Send | Receive | Open | SetSale;

/** The SKUs that an operation names, in their order, repeats included. */
export function skusOf(operation: Operation): string[] {
  return 'lines' in operation ? operation.lines.map((line) => line.sku_id) : [operation.sku_id];
}

/** The SKUs whose slots the shard must own. The other SKUs are fenced by the epochs of the rows that they name. */
export function ownedSkusOf(operation: Operation): string[] {
  if ('lines' in operation) return operation.lines.filter(({ row }) => row === undefined).map((line) => line.sku_id);
  return namesSubRow(operation) ? [] : [operation.sku_id];
}

/** The stock rows that an operation writes, as `stockRowKeyText`, repeats included. */
export function stockRowKeysOf(operation: Operation): string[] {
  if ('lines' in operation) return operation.lines.map(({ sku_id, row }) => stockRowKeyText(sku_id, row?.sub_row ?? 0));
  if (operation.kind === 'send') return [stockRowKeyText(operation.sku_id, operation.from.sub_row)];
  if (operation.kind === 'receive') return [stockRowKeyText(operation.sku_id, operation.to.sub_row)];
  return [stockRowKeyText(operation.sku_id, 'row' in operation ? (operation.row?.sub_row ?? 0) : 0)];
}

/** Whether an operation names single rows of a split SKU. A sale applies to all rows on a shard. */
export function namesSubRow(operation: Operation): boolean {
  if ('lines' in operation) return operation.lines.some(({ row }) => row !== undefined);
  return (
    operation.kind === 'send' ||
    operation.kind === 'receive' ||
    ('row' in operation && operation.row !== undefined && operation.kind !== 'sale')
  );
}
