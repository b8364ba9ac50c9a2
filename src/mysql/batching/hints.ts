import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import { skusOf } from '../../core/operation.ts';
import type { NotMine } from '../../core/outcome.ts';

/** For how long it is remembered that a SKU was not as usual. */
const REMEMBER_MS = 1_000;
const SKUS_MAX = 10_000;

/**
 * Which operations may be decided without looking: deductions of SKUs that were as usual lately. A wrong guess costs a
 * round trip and nothing else, because the shard checks everything that it rests on.
 */
export class Hints {
  /** SKUs of which somebody was refused, and until when that is remembered. */
  readonly #unusual = new Map<string, number>();

  canGuess(operation: Batchable): boolean {
    // Returns and the like are about what stands, and that is never known.
    if (operation.kind !== 'deduct' && operation.kind !== 'hold') return false;
    if (this.#unusual.size === 0) return true;
    const nowMs = performance.now();
    return operation.lines.every(({ sku_id }) => (this.#unusual.get(sku_id) ?? 0) <= nowMs);
  }

  learn(operation: Batchable, decision: Decision | NotMine): void {
    if (decision.is !== 'refused' && decision.is !== 'deferred' && decision.is !== 'lacking') return;
    if (this.#unusual.size >= SKUS_MAX) this.#unusual.clear();
    for (const sku_id of skusOf(operation)) this.#unusual.set(sku_id, performance.now() + REMEMBER_MS);
  }
}
