import type { DeadlineMs } from '../../core/nouns.ts';
import { isLater, refusesAt } from '../../core/sight.ts';
import type { Sight } from '../../core/sight.ts';
import type { KnownIds } from './knownIds.ts';

/** SKUs of which something is known, at most; who was not asked for longest is forgotten first. */
const SKUS_MAX = 10_000;
/** Ids of all of them, at most: 32 megabytes. */
const IDS_MAX = 8_000_000;
const KEPT = 0.9;
/** Between two readings of all ids of a SKU: tombstones raise its version while it is sold out. */
const AGAIN_MS = 300;
const FAILED_MS = 5_000;

interface Entry {
  readonly sku_id: string;
  sight: Sight | null;
  ids: KnownIds | null;
  usedMs: DeadlineMs;
  isLoading: boolean;
  /** Its ids are not read again before. */
  loadFromMs: DeadlineMs;
}

/** What is to be done with a line, as far as memory can tell. `ask`: its SKU may be sold out, but it is not known for certain at this moment. */
export type Hunch = 'refuse' | 'pass' | 'ask';

/**
 * The SKUs that somebody was refused lately because nothing was left, with what is known of them. Bounded, however many SKUs are
 * asked for: only what an engine has refused comes in.
 */
export class SoldOut {
  /** The one that was asked for last is the last. */
  readonly #entries = new Map<string, Entry>();
  #idCount = 0;

  get size(): number {
    return this.#entries.size;
  }

  get idCount(): number {
    return this.#idCount;
  }

  /** Somebody was refused. @returns whether it was not known of */
  suspect(sku_id: string, nowMs: DeadlineMs): boolean {
    if (this.#entries.has(sku_id)) return false;
    this.#entries.set(sku_id, {
      sku_id,
      sight: null,
      ids: null,
      usedMs: nowMs,
      isLoading: false,
      loadFromMs: -Infinity,
    });
    this.#shrink();
    return true;
  }

  /** @param sight what a tier has just said, beside what is known; null: only what is known */
  judge(sku_id: string, order_detail_id: string, nowMs: DeadlineMs, sight: Sight | null = null): Hunch {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return 'pass';
    entry.usedMs = nowMs;
    const known = sight ?? entry.sight;
    // As long as the ids are not known nobody can be told to be new.
    if (known === null || entry.ids === null || entry.ids.filter === null) return 'pass';
    if (entry.ids.filter.has(order_detail_id)) return 'pass';
    return entry.ids.version === known.version && refusesAt(known, nowMs) ? 'refuse' : 'ask';
  }

  sightOf(sku_id: string): Sight | null {
    return this.#entries.get(sku_id)?.sight ?? null;
  }

  /** SKUs that were asked for since, and of which nothing is known that is younger than another moment. */
  due(usedSinceMs: DeadlineMs, knownSinceMs: DeadlineMs): string[] {
    const due: string[] = [];
    for (const { sku_id, sight, usedMs } of this.#entries.values())
      if (usedMs >= usedSinceMs && (sight === null || sight.asOfMs < knownSinceMs)) due.push(sku_id);
    return due;
  }

  /** Takes over what is known now. @returns whether the ids of the SKU are to be read, and nobody does */
  note(sight: Sight): boolean {
    const entry = this.#entries.get(sight.sku_id);
    if (entry === undefined) return false;
    if (entry.sight !== null && !isLater(sight, entry.sight)) return false;
    if (!sight.isEmpty) {
      // Where something is left, whoever is refused again puts it back; where somebody is just changing it, the next look tells.
      if (sight.leaved_amount !== 0 && !entry.isLoading) this.forget(sight.sku_id);
      else entry.sight = null;
      return false;
    }
    entry.sight = sight;
    // To be found last when room is made.
    this.#entries.delete(sight.sku_id);
    this.#entries.set(sight.sku_id, entry);
    if (entry.isLoading || entry.ids?.version === sight.version || sight.asOfMs < entry.loadFromMs) return false;
    entry.isLoading = true;
    return true;
  }

  /** @param ids null: they could not be had; they are read again, but not at once */
  noteIds(sku_id: string, ids: KnownIds | null, nowMs: DeadlineMs): void {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return;
    entry.isLoading = false;
    entry.loadFromMs = nowMs + (ids === null ? FAILED_MS : AGAIN_MS);
    this.#idCount += (ids?.filter?.size ?? 0) - (entry.ids?.filter?.size ?? 0);
    entry.ids = ids;
    this.#shrink();
  }

  forget(sku_id: string): void {
    const entry = this.#entries.get(sku_id);
    if (entry === undefined) return;
    this.#idCount -= entry.ids?.filter?.size ?? 0;
    this.#entries.delete(sku_id);
  }

  /** Forgets a tenth at once: to find the first of a map again and again is to go past all that were taken from it. */
  #shrink(): void {
    if (this.#entries.size <= SKUS_MAX && this.#idCount <= IDS_MAX) return;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= SKUS_MAX * KEPT && this.#idCount <= IDS_MAX * KEPT) return;
      this.forget(oldest);
    }
  }
}
