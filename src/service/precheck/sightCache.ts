import { isLater } from '../../core/sight.ts';
import type { Sight, SightStore } from '../../core/sight.ts';

/** SKUs that are remembered, those that do not exist among them; then who came first is forgotten. */
const SKUS_MAX = 50_000;
const KEPT = 0.9;

/** What was last heard of SKUs, for who may be told something a little old. */
export class SightCache implements SightStore {
  readonly #sights = new Map<string, Sight>();

  look(sku_ids: readonly string[]): Promise<readonly (Sight | null)[]> {
    return Promise.resolve(sku_ids.map((sku_id) => this.#sights.get(sku_id) ?? null));
  }

  note(sights: readonly Sight[]): Promise<void> {
    for (const sight of sights) {
      const known = this.#sights.get(sight.sku_id);
      if (known !== undefined && !isLater(sight, known)) continue;
      this.#sights.delete(sight.sku_id);
      this.#sights.set(sight.sku_id, sight);
    }
    if (this.#sights.size > SKUS_MAX) this.#shrink();
    return Promise.resolve();
  }

  /** A tenth at once: to find the first of a map again and again is to go past all that were taken from it. */
  #shrink(): void {
    for (const oldest of this.#sights.keys()) {
      if (this.#sights.size <= SKUS_MAX * KEPT) return;
      this.#sights.delete(oldest);
    }
  }
}
