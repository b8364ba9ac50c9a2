import type { BatchOperation, Decision } from '../../core/ledger/decide.ts';
import type { LedgerRows } from '../../core/ledger/ledger.ts';
import { stockRowKeyText } from '../../core/types.ts';
import type { LineWithRow } from '../../core/operation.ts';
import type { DeductedLine, WrongShard } from '../../core/outcome.ts';
import { SeenKeys } from './seenKeys.ts';

/** The most stock rows whose units are remembered; above it, all are forgotten. */
const ROWS_MAX = 50_000;

/** The read that an operation needs before its decision: none, the flows of its ids (suspected replay), or all rows. */
export type RequiredRead = 'nothing' | 'ids' | 'all';

/**
 * Decides which operations may be decided without a read: deductions under ids that were not seen before, of SKUs whose
 * last reading had enough units. A wrong guess costs one round trip and nothing else, because the shard checks
 * everything that the decision rests on. Rows that look insufficient are read, which renews their reading.
 */
export class Hints {
  /** Operations that could not be decided without all their rows. */
  readonly #undecided = new WeakSet<BatchOperation>();
  /** Units that could be taken of a stock row (by its key text) when it was last read, less what was taken since. */
  readonly #leaved = new Map<string, number>();
  readonly #seen = new SeenKeys();

  /** The read that an operation needs. @param parts its part on each shard */
  requiredReadOf(parts: readonly { readonly operation: BatchOperation }[]): RequiredRead {
    let required: RequiredRead = 'nothing';
    for (const { operation } of parts) {
      const ofPart = this.#requiredReadOf(operation);
      if (ofPart === 'all') return 'all';
      if (ofPart === 'ids') required = 'ids';
    }
    return required;
  }

  #requiredReadOf(operation: BatchOperation): RequiredRead {
    if (this.#undecided.has(operation)) return 'all';
    if (operation.kind === 'settle' && operation.isHeld === true) return 'nothing';
    // Returns and similar operations depend on existing flows, and those are never kept here.
    if ((operation.kind !== 'deduct' && operation.kind !== 'hold') || isTrial(operation)) return 'all';
    let doubt: RequiredRead = 'nothing';
    for (const line of operation.lines) {
      if ((this.#leaved.get(keyOf(line)) ?? 0) < line.quantity) return 'all';
      if (this.#seen.has(line)) doubt = 'ids';
    }
    return doubt;
  }

  /** Stores what was read. */
  storeReading({ stockRows }: LedgerRows): void {
    if (this.#leaved.size + stockRows.size > ROWS_MAX) this.#leaved.clear();
    // SKUs that do not exist are not stored, because any caller can invent them.
    for (const [key, row] of stockRows)
      if (row !== null) this.#leaved.set(key, row.isOnSale && row.isOpen && row.isSellable ? row.leaved_amount : 0);
  }

  /** Stores what was decided and written. @param parts the part of the operation on each shard */
  storeDecision(parts: readonly { readonly operation: BatchOperation }[], decision: Decision | WrongShard): void {
    if (decision.is === 'deferred') for (const { operation } of parts) this.#undecided.add(operation);
    else if (decision.is === 'deducted' || decision.is === 'held') {
      let first = 0;
      for (const { operation } of parts) {
        if (isTrial(operation)) return;
        const lines = 'lines' in operation ? operation.lines : [];
        lines.forEach((line, place) => this.#storeLine(line, decision.lines[first + place]));
        first += lines.length;
      }
    } else if (decision.is === 'applied') {
      for (const { operation } of parts)
        if (operation.kind === 'cancel') operation.lines.forEach((line) => this.#seen.add(line));
    }
  }

  #storeLine(line: Pick<LineWithRow, 'sku_id' | 'order_detail_id' | 'row'>, answered: DeductedLine | undefined): void {
    this.#seen.add(line);
    if (answered === undefined || answered.replayed) return;
    const key = keyOf(line);
    const leaved = this.#leaved.get(key);
    if (leaved !== undefined) this.#leaved.set(key, leaved - answered.quantity);
  }
}

function keyOf({ sku_id, row }: Pick<LineWithRow, 'sku_id' | 'row'>): string {
  return row === undefined ? sku_id : stockRowKeyText(sku_id, row.sub_row);
}

function isTrial(operation: BatchOperation): boolean {
  return operation.kind === 'hold' && operation.isTrial === true;
}
