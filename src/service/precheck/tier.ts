import type { DeadlineMs } from '../../core/nouns.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { Sight, SightSource } from '../../core/sight.ts';

export type TierName = 'memory' | 'redis' | 'replica';

/** Told of what tiers do; for metrics. */
export interface TierWatcher {
  asked(tier: TierName): void;
  /** @param ageMs how old the knowledge was that refused */
  refused(tier: TierName, ageMs: number): void;
  /** It was too slow, down, or left alone after that. */
  skipped(tier: TierName): void;
  /** It let an order pass that the engine then refused. */
  passedFalsely(tier: TierName): void;
}

/** A tier that does not answer is left alone for so long. */
const PAUSE_MS = 500;

interface Asked {
  readonly sku_id: string;
  resolve(sight: Sight | null): void;
}

/** A source that is asked on behalf of single requests: all that come in the same turn share a question, and none waits long. */
export class Tier {
  readonly name: TierName;
  readonly #source: SightSource;
  readonly #waitMs: number;
  readonly #watcher: TierWatcher;
  readonly #onFault: (error: unknown) => void;
  #waiting: Asked[] = [];
  #pausedUntilMs = -Infinity;

  /** @param onFault called with a programming error of the source; it is skipped then as when it does not answer */
  constructor(
    name: TierName,
    source: SightSource,
    waitMs: number,
    watcher: TierWatcher,
    onFault: (error: unknown) => void = () => undefined,
  ) {
    this.name = name;
    this.#source = source;
    this.#waitMs = waitMs;
    this.#watcher = watcher;
    this.#onFault = onFault;
  }

  /** What the source knows now: it is asked after this call, so whatever it says is true of somebody who came before. Never throws. */
  ask(sku_id: string): Promise<Sight | null> {
    this.#watcher.asked(this.name);
    if (performance.now() < this.#pausedUntilMs) {
      this.#watcher.skipped(this.name);
      return Promise.resolve(null);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ sku_id, resolve });
      if (this.#waiting.length === 1) setImmediate(() => void this.#askAll());
    });
  }

  /** The same for many at once, for who looks ahead. @returns null where nothing is known */
  async look(sku_ids: readonly string[]): Promise<readonly (Sight | null)[]> {
    const nowMs = performance.now();
    if (nowMs < this.#pausedUntilMs) return sku_ids.map(() => null);
    const untilMs = nowMs + this.#waitMs;
    try {
      return await within(this.#source.look(sku_ids, untilMs), untilMs);
    } catch (error) {
      if (isProgramFault(error)) this.#onFault(error);
      this.#pausedUntilMs = performance.now() + PAUSE_MS;
      this.#watcher.skipped(this.name);
      return sku_ids.map(() => null);
    }
  }

  async #askAll(): Promise<void> {
    const asked = this.#waiting;
    this.#waiting = [];
    const sku_ids = [...new Set(asked.map(({ sku_id }) => sku_id))];
    const sights = await this.look(sku_ids);
    const bySku = new Map(sku_ids.map((sku_id, place) => [sku_id, sights[place] ?? null]));
    for (const { sku_id, resolve } of asked) resolve(bySku.get(sku_id) ?? null);
  }
}

/** @throws when it takes longer; what comes late is nobody's */
function within<T>(work: Promise<T>, untilMs: DeadlineMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), Math.max(0, untilMs - performance.now()));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
