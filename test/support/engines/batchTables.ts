import type { BatchOperation } from '../../../src/core/ledger/decide.ts';
import { adjustmentKeyText, returnKeyText } from '../../../src/core/ledger/ledger.ts';
import type { FlowChange, LedgerFlow, LedgerRows, WriteSet } from '../../../src/core/ledger/ledger.ts';
import type { LedgerStockRow } from '../../../src/core/ledger/stockRowDraft.ts';
import { flowKeyText, STOCK_LIMIT } from '../../../src/core/types.ts';
import type { CommitDecision, FlowKey } from '../../../src/core/types.ts';
import type { Open, SetSale } from '../../../src/core/operation.ts';

/** The tables of a shard in memory. They accept a write set on the same conditions as the procedure of a shard. */
export class BatchTables {
  readonly #flows = new Map<string, LedgerFlow>();
  readonly #stockRows = new Map<string, LedgerStockRow>();
  readonly #returns = new Map<string, number>();
  readonly #adjustments = new Map<string, number>();
  /** Opening stock plus all adjustments, by SKU. */
  readonly #totals = new Map<string, bigint>();

  open({ sku_id, leaved_amount }: Open): void {
    if (this.#stockRows.has(sku_id)) return;
    this.#stockRows.set(sku_id, {
      leaved_amount,
      held_amount: 0,
      epoch: 0,
      isOpen: true,
      isOnSale: true,
      isSellable: true,
    });
    this.#totals.set(sku_id, BigInt(leaved_amount));
  }

  sell({ sku_id, state, from }: SetSale): void {
    const row = this.#stockRows.get(sku_id);
    if (row !== undefined)
      this.#stockRows.set(sku_id, {
        ...row,
        isOnSale: state === 'on' && (from === null || from <= new Date().toISOString()),
      });
  }

  left(sku_id: string): number | null {
    return this.#stockRows.get(sku_id)?.leaved_amount ?? null;
  }

  /** The rows that a batch reads for these operations. */
  read(operations: readonly BatchOperation[]): LedgerRows {
    const reading = {
      flows: new Map<string, LedgerFlow | null>(),
      stockRows: new Map<string, LedgerStockRow | null>(),
      returns: new Map<string, number | null>(),
      adjustments: new Map<string, number | null>(),
      transfers: new Map<string, boolean>(),
      totals: new Map<string, bigint>(),
      records: new Map<string, CommitDecision | null>(),
    };
    const readFlow = (key: FlowKey): void => {
      const text = flowKeyText(key);
      reading.flows.set(text, this.#flows.get(text) ?? null);
      reading.stockRows.set(key.sku_id, this.#stockRows.get(key.sku_id) ?? null);
    };
    for (const operation of operations) {
      if ('lines' in operation) operation.lines.forEach(readFlow);
      if (operation.kind === 'return') {
        readFlow(operation);
        const text = returnKeyText(operation, operation.return_id);
        reading.returns.set(text, this.#returns.get(text) ?? null);
      }
      if (operation.kind === 'adjust') {
        const text = adjustmentKeyText(operation.sku_id, operation.adjustment_id);
        reading.adjustments.set(text, this.#adjustments.get(text) ?? null);
        const total = this.#totals.get(operation.sku_id);
        if (total !== undefined) reading.totals.set(operation.sku_id, total);
        reading.stockRows.set(operation.sku_id, this.#stockRows.get(operation.sku_id) ?? null);
      }
    }
    return reading;
  }

  /** @returns false when a row differs from the state that the writes assume; then nothing was written */
  write({ flows, stockRows, returns, adjustments }: WriteSet): boolean {
    const isAsAssumed =
      flows.every((change) => JSON.stringify(this.#flows.get(keyOf(change)) ?? null) === JSON.stringify(change.was)) &&
      returns.every((entry) => !this.#returns.has(returnKeyText(entry, entry.return_id))) &&
      adjustments.every((entry) => !this.#adjustments.has(adjustmentKeyText(entry.sku_id, entry.adjustment_id))) &&
      stockRows.every(({ sku_id, leavedMin, totalMax, mustBeOnSale }) => {
        const row = this.#stockRows.get(sku_id);
        return (
          row !== undefined &&
          row.leaved_amount >= leavedMin &&
          row.leaved_amount + row.held_amount <= totalMax &&
          (!mustBeOnSale || row.isOnSale)
        );
      });
    if (!isAsAssumed) return false;
    const totals = new Map(this.#totals);
    for (const { sku_id, delta } of adjustments) totals.set(sku_id, (totals.get(sku_id) ?? 0n) + BigInt(delta));
    const isAbove = (sku_id: string): boolean => (totals.get(sku_id) ?? 0n) > BigInt(STOCK_LIMIT);
    if (adjustments.some(({ sku_id, delta }) => delta > 0 && isAbove(sku_id))) return false;
    for (const [sku_id, total] of totals) this.#totals.set(sku_id, total);
    for (const change of flows) {
      if (change.is === null) this.#flows.delete(keyOf(change));
      else this.#flows.set(keyOf(change), change.is);
    }
    for (const entry of returns) this.#returns.set(returnKeyText(entry, entry.return_id), entry.quantity);
    for (const entry of adjustments)
      this.#adjustments.set(adjustmentKeyText(entry.sku_id, entry.adjustment_id), entry.delta);
    for (const { sku_id, leaved, held } of stockRows) this.#move(sku_id, leaved, held);
    return true;
  }

  #move(sku_id: string, leaved: number, held: number): void {
    const row = this.#stockRows.get(sku_id);
    if (row === undefined) throw new Error('a checked row is missing');
    const moved = { ...row, leaved_amount: row.leaved_amount + leaved, held_amount: row.held_amount + held };
    if (moved.leaved_amount < 0 || moved.held_amount < 0 || moved.leaved_amount + moved.held_amount > STOCK_LIMIT)
      throw new Error(`the stock of ${sku_id} leaves its bounds`);
    this.#stockRows.set(sku_id, moved);
  }
}

function keyOf({ was, is }: FlowChange): string {
  const flow = is ?? was;
  if (flow === null) throw new Error('a change of a flow has neither the flow before nor the flow after it');
  return flowKeyText(flow);
}
