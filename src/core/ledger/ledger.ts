import { flowKeyText, stockRowKeyText, STOCK_LIMIT } from '../types.ts';
import type {
  CartLine,
  CommitDecision,
  Flow,
  FlowKey,
  Hold,
  OrderTransaction,
  RowRef,
  Transfer,
  WithRow,
} from '../types.ts';
import { StockRowDraft } from './stockRowDraft.ts';
import type { StockRowChange, LedgerStockRow } from './stockRowDraft.ts';

/** The fields of a flow that decisions use. */
export type LedgerFlow = Pick<
  Flow,
  | 'sku_id'
  | 'order_detail_id'
  | 'order_id'
  | 'attempt'
  | 'quantity'
  | 'returned'
  | 'status'
  | 'sub_row'
  | 'moved_to'
  | 'transaction'
>;

/** One side of a transfer: the debit or the credit. */
export type Direction = 'out' | 'in';

/**
 * Rows that were read together, as of one moment. Null: the row does not exist. A row without an entry was not read.
 */
export interface LedgerRows {
  readonly flows: ReadonlyMap<string, LedgerFlow | null>;
  /** By `stockRowKeyText`. */
  readonly stockRows: ReadonlyMap<string, LedgerStockRow | null>;
  /** Units by `returnKeyText`. */
  readonly returns: ReadonlyMap<string, number | null>;
  /** Deltas by `adjustmentKeyText`. */
  readonly adjustments: ReadonlyMap<string, number | null>;
  /** Whether the side of the transfer is recorded, by `transferKeyText`. */
  readonly transfers: ReadonlyMap<string, boolean>;
  /** Opening stock plus all adjustments, in units, by `sku_id`; read for restocks. It may be above `STOCK_LIMIT`. */
  readonly totals: ReadonlyMap<string, bigint>;
  /** How transactions were decided, by `transaction_id`; null: there is no record. */
  readonly records: ReadonlyMap<string, CommitDecision | null>;
}

export interface FlowChange {
  /** The flow that must exist for the change to be valid; null: none may exist. */
  readonly was: LedgerFlow | null;
  /** Null: the flow is deleted, because its hold was undone. */
  readonly is: LedgerFlow | null;
}

/** The record of a committed transaction. */
export interface NewRecord extends OrderTransaction {
  readonly order_id: string;
  readonly lines: readonly CartLine[];
}

export interface NewReturn extends FlowKey {
  readonly return_id: string;
  readonly quantity: number;
}

export interface NewAdjustment {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
  readonly reason: string | null;
}

export interface NewTransfer {
  readonly direction: Direction;
  readonly transfer: Transfer;
}

/** The rows to write, all or nothing. */
export interface WriteSet {
  readonly flows: readonly FlowChange[];
  readonly stockRows: readonly StockRowChange[];
  readonly returns: readonly NewReturn[];
  readonly adjustments: readonly NewAdjustment[];
  readonly transfers: readonly NewTransfer[];
  /** Holds whose hold rows are deleted, if they exist. */
  readonly completedHolds: readonly Hold[];
  readonly records: readonly NewRecord[];
}

/**
 * The rows that a batch uses. A row that was not read is guessed: there is no flow, and the stock row has enough units.
 * Decisions change the ledger one after the other. The conditions of the decisions are sent with the rows to write, so
 * that the shard checks every guess.
 */
export class Ledger {
  readonly #reading: LedgerRows;
  readonly #flows = new Map<string, FlowChange>();
  readonly #stockRows = new Map<string, StockRowDraft | null>();
  readonly #returns = new Map<string, NewReturn>();
  readonly #adjustments = new Map<string, NewAdjustment>();
  /** The net units of these adjustments, by `sku_id`. */
  readonly #adjustedBy = new Map<string, bigint>();
  readonly #transfers = new Map<string, NewTransfer>();
  readonly #completedHolds: Hold[] = [];
  readonly #records: NewRecord[] = [];
  /** Flows that a caller knows and that were not read. */
  #known: Map<string, LedgerFlow> | null = null;

  constructor(reading: LedgerRows) {
    this.#reading = reading;
  }

  /** Whether a flow and the stock row of its SKU were read. */
  wasRead(key: FlowKey & WithRow): boolean {
    return (
      this.#reading.stockRows.has(stockRowKeyText(key.sku_id, key.row?.sub_row ?? 0)) &&
      this.#reading.flows.has(flowKeyText(key))
    );
  }

  flow(key: FlowKey): LedgerFlow | null {
    const text = flowKeyText(key);
    const change = this.#flows.get(text);
    return change === undefined ? this.#readFlow(text) : change.is;
  }

  setFlow(flow: LedgerFlow): void {
    const text = flowKeyText(flow);
    this.#flows.set(text, { was: this.#readFlow(text), is: flow });
  }

  /** Deletes the flow of a hold that is undone. */
  deleteFlow(flow: LedgerFlow): void {
    const text = flowKeyText(flow);
    this.#flows.set(text, { was: this.#readFlow(text), is: null });
  }

  /** Takes a flow as read, unless it was read. Its shard checks it as it checks a guess. */
  assumeFlow(flow: LedgerFlow): void {
    const text = flowKeyText(flow);
    if (this.#reading.flows.has(text)) return;
    this.#known ??= new Map();
    this.#known.set(text, flow);
  }

  #readFlow(text: string): LedgerFlow | null {
    return this.#reading.flows.get(text) ?? this.#known?.get(text) ?? null;
  }

  /** How a transaction was decided; null: it is not decided, or its record was not read. */
  decisionOf({ transaction_id }: OrderTransaction): CommitDecision | null {
    return this.#reading.records.get(transaction_id) ?? null;
  }

  addRecord(record: NewRecord): void {
    this.#records.push(record);
  }

  /** The draft of a stock row; null: the row was read and does not exist. */
  stockRow(sku_id: string, sub_row: number): StockRowDraft | null {
    const key = stockRowKeyText(sku_id, sub_row);
    let stockRow = this.#stockRows.get(key);
    if (stockRow === undefined) {
      const row = this.#reading.stockRows.get(key);
      stockRow = row === null ? null : new StockRowDraft(sku_id, sub_row, row ?? null);
      this.#stockRows.set(key, stockRow);
    }
    return stockRow;
  }

  /** The units of an existing return, or null. */
  returned(key: FlowKey, return_id: string): number | null {
    const text = returnKeyText(key, return_id);
    return this.#returns.get(text)?.quantity ?? this.#reading.returns.get(text) ?? null;
  }

  addReturn(entry: NewReturn): void {
    this.#returns.set(returnKeyText(entry, entry.return_id), entry);
  }

  /** The delta of an existing adjustment, or null. */
  adjusted(sku_id: string, adjustment_id: string): number | null {
    const text = adjustmentKeyText(sku_id, adjustment_id);
    return this.#adjustments.get(text)?.delta ?? this.#reading.adjustments.get(text) ?? null;
  }

  /**
   * Whether a SKU stays within `STOCK_LIMIT` with `units` more: opening stock plus all adjustments, including those of
   * this batch. True for a SKU whose total was not read, because its shard asserts the limit.
   */
  isWithinLimit(sku_id: string, units: number): boolean {
    const total = this.#reading.totals.get(sku_id);
    return total === undefined || total + (this.#adjustedBy.get(sku_id) ?? 0n) + BigInt(units) <= BigInt(STOCK_LIMIT);
  }

  addAdjustment(entry: NewAdjustment): void {
    this.#adjustments.set(adjustmentKeyText(entry.sku_id, entry.adjustment_id), entry);
    this.#adjustedBy.set(entry.sku_id, (this.#adjustedBy.get(entry.sku_id) ?? 0n) + BigInt(entry.delta));
  }

  /** Whether one side of a transfer is recorded. */
  hasTransfer(direction: Direction, transfer: Transfer): boolean {
    const text = transferKeyText(direction, transfer);
    return this.#transfers.has(text) || this.#reading.transfers.get(text) === true;
  }

  addTransfer(direction: Direction, transfer: Transfer): void {
    this.#transfers.set(transferKeyText(direction, transfer), { direction, transfer });
  }

  deleteHold(hold: Hold): void {
    this.#completedHolds.push(holdOf(hold));
  }

  /** All changes that were decided, in no order. */
  writeSet(): WriteSet {
    return {
      // A hold that came and was undone in the same batch leaves nothing.
      flows: [...this.#flows.values()].filter(({ was, is }) => was !== null || is !== null),
      stockRows: [...this.#stockRows.values()].flatMap((stockRow) => stockRow?.change() ?? []),
      returns: [...this.#returns.values()],
      adjustments: [...this.#adjustments.values()],
      transfers: [...this.#transfers.values()],
      completedHolds: this.#completedHolds,
      records: this.#records,
    };
  }
}

function holdOf({ sku_id, order_detail_id, order_id, attempt, transaction }: Hold): Hold {
  const hold = { sku_id, order_detail_id, order_id, attempt };
  return transaction === undefined ? hold : { ...hold, transaction };
}

export function returnKeyText(key: FlowKey, return_id: string): string {
  return `${flowKeyText(key)}\0${return_id}`;
}

export function adjustmentKeyText(sku_id: string, adjustment_id: string): string {
  return `${sku_id}\0${adjustment_id}`;
}

export function transferKeyText(
  direction: Direction,
  { sku_id, transfer_id }: Pick<Transfer, 'sku_id' | 'transfer_id'>,
): string {
  return `${sku_id}\0${transfer_id}\0${direction}`;
}

/** The row of a SKU that is not split. */
export const ONLY_ROW: RowRef = { sub_row: 0, epoch: 0 };

/** The stock row of a flow. @throws Error when it does not exist */
export function stockRowOf(ledger: Ledger, { sku_id, sub_row }: { readonly sku_id: string; readonly sub_row: number }) {
  const stockRow = ledger.stockRow(sku_id, sub_row);
  if (stockRow === null) throw new Error('a SKU has flows but no stock row');
  return stockRow;
}
