import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import type { Reading } from '../../core/ledger/ledger.ts';
import { shelfKeyText } from '../../core/nouns.ts';
import type { PlacedLine } from '../../core/operation.ts';
import type { NotMine } from '../../core/outcome.ts';
import { SeenKeys } from './seenKeys.ts';

/** Stock rows of which it is remembered how much they had; then all are forgotten. */
const ROWS_MAX = 50_000;

/** What is to be read before an operation is decided: nothing, what stands under its ids (it looks like a replay), or all. */
export type Doubt = 'nothing' | 'ids' | 'all';

/**
 * Which operations may be decided without looking: deductions under ids that were not seen before, of SKUs that somebody has
 * looked at and that had enough then. A wrong guess costs a round trip and nothing else, because the shard checks everything
 * that it rests on; and what looks costly here is looked at, so that it is known again.
 */
export class Hints {
  /** What could not be decided by less than all that it rests on. */
  readonly #undecided = new WeakSet<Batchable>();
  /** What could be taken of a stock row (by `shelfKeyText`) when it was last read, less what was taken here since. */
  readonly #leaved = new Map<string, number>();
  readonly #seen = new SeenKeys();

  doubtOf(operation: Batchable): Doubt {
    // Returns and the like are about what stands, and that is never known.
    if ((operation.kind !== 'deduct' && operation.kind !== 'hold') || this.#undecided.has(operation)) return 'all';
    let doubt: Doubt = 'nothing';
    for (const line of operation.lines) {
      if ((this.#leaved.get(keyOf(line)) ?? 0) < line.quantity) return 'all';
      if (this.#seen.has(line)) doubt = 'ids';
    }
    return doubt;
  }

  /** Notes what was read. */
  note({ shelves }: Reading): void {
    if (this.#leaved.size + shelves.size > ROWS_MAX) this.#leaved.clear();
    // Of SKUs that do not exist nothing is kept: anybody can make those up.
    for (const [key, row] of shelves)
      if (row !== null) this.#leaved.set(key, row.isOnSale && row.isOpen && row.isSellable ? row.leaved_amount : 0);
  }

  /** Notes what was decided and written. */
  learn(operation: Batchable, decision: Decision | NotMine): void {
    if (decision.is === 'deferred') this.#undecided.add(operation);
    else if (decision.is === 'deducted' || decision.is === 'held') {
      decision.lines.forEach((line, place) => {
        this.#seen.add(line);
        if (line.replayed) return;
        const key = keyOf('lines' in operation ? (operation.lines[place] ?? line) : line);
        const leaved = this.#leaved.get(key);
        if (leaved !== undefined) this.#leaved.set(key, leaved - line.quantity);
      });
    } else if (operation.kind === 'cancel' && decision.is === 'applied') {
      for (const line of operation.lines) this.#seen.add(line);
    }
  }
}

function keyOf({ sku_id, row }: Pick<PlacedLine, 'sku_id' | 'row'>): string {
  return row === undefined ? sku_id : shelfKeyText(sku_id, row.sub_row);
}
