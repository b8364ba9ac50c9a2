import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import type { FlowKey } from '../../core/nouns.ts';
import { skusOf } from '../../core/operation.ts';
import type { NotMine } from '../../core/outcome.ts';
import { SeenKeys } from './seenKeys.ts';

/** For how long it is remembered that a SKU was not as usual. */
const REMEMBER_MS = 1_000;
const SKUS_MAX = 10_000;

interface Unusual {
  /** At most so many units could be taken when it was last heard of. */
  leaved: number;
  readonly untilMs: number;
}

/**
 * Which operations may be decided without looking: deductions under ids that were not seen before, of SKUs that had
 * enough when they were last heard of. A wrong guess costs a round trip and nothing else, because the shard checks
 * everything that it rests on.
 */
export class Hints {
  /** SKUs of which somebody was refused. */
  readonly #unusual = new Map<string, Unusual>();
  readonly #seen = new SeenKeys();

  canGuess(operation: Batchable): boolean {
    // Returns and the like are about what stands, and that is never known.
    if (operation.kind !== 'deduct' && operation.kind !== 'hold') return false;
    return operation.lines.every((line) => !this.#seen.has(line) && this.#leaved(line.sku_id) >= line.quantity);
  }

  learn(operation: Batchable, decision: Decision | NotMine): void {
    if (decision.is === 'refused') this.#learnRefusal(operation, decision.lines);
    else if (decision.is === 'deferred' || decision.is === 'lacking') for (const sku_id of skusOf(operation)) this.#remember(sku_id, 0);
    else if (operation.kind === 'adjust') this.#unusual.delete(operation.sku_id);
    else if (decision.is === 'deducted' || decision.is === 'held') {
      for (const line of decision.lines) {
        this.#seen.add(line);
        const unusual = this.#unusual.size === 0 ? undefined : this.#unusual.get(line.sku_id);
        if (unusual !== undefined && !line.replayed) unusual.leaved -= line.quantity;
      }
    }
  }

  #learnRefusal(operation: Batchable, lines: readonly (FlowKey & { readonly code: string; readonly leaved_amount?: number })[]): void {
    for (const line of lines) {
      if (line.code === 'idempotency_conflict' || line.code === 'cancelled') this.#seen.add(line);
      else this.#remember(line.sku_id, line.leaved_amount ?? 0);
    }
    if (lines.length === 0) for (const sku_id of skusOf(operation)) this.#remember(sku_id, 0);
  }

  #leaved(sku_id: string): number {
    if (this.#unusual.size === 0) return Infinity;
    const unusual = this.#unusual.get(sku_id);
    if (unusual === undefined) return Infinity;
    if (unusual.untilMs > performance.now()) return unusual.leaved;
    this.#unusual.delete(sku_id);
    return Infinity;
  }

  #remember(sku_id: string, leaved: number): void {
    if (this.#unusual.size >= SKUS_MAX) this.#unusual.clear();
    this.#unusual.set(sku_id, { leaved, untilMs: performance.now() + REMEMBER_MS });
  }
}
