import { withTimeout } from '../../core/async/withTimeout.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { ReadingSource } from '../../core/ports/readingSource.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';

export type TierName = 'memory' | 'redis' | 'replica';

/** Receives the events of tiers, for metrics. */
export interface TierWatcher {
  requested(tier: TierName): void;
  /** @param ageMs the age of the reading that refused */
  refused(tier: TierName, ageMs: number): void;
  /** The tier was too slow or down, or still in the pause after that. */
  skipped(tier: TierName): void;
  /** The tier let an order pass that the engine then refused. */
  falsePass(tier: TierName): void;
}

/** A tier that did not answer is skipped for this time. */
const PAUSE_MS = 500;

interface Waiter {
  readonly sku_id: string;
  resolve(reading: StockReading | null): void;
}

/**
 * Reads a source for single requests. The requests of one turn of the event loop share a read; none waits over
 * `waitMs`.
 */
export class Tier {
  readonly name: TierName;
  readonly #source: ReadingSource;
  readonly #waitMs: number;
  readonly #watcher: TierWatcher;
  readonly #onFault: (error: unknown) => void;
  #waiting: Waiter[] = [];
  #pausedUntilMs = -Infinity;

  /** @param onFault called with a programming error of the source, which is then skipped as if it had not answered */
  constructor(
    name: TierName,
    source: ReadingSource,
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

  /**
   * Reads the source. The read begins after this call, so its result is valid for the request that calls. Never throws.
   */
  readOne(sku_id: string): Promise<StockReading | null> {
    this.#watcher.requested(this.name);
    if (performance.now() < this.#pausedUntilMs) {
      this.#watcher.skipped(this.name);
      return Promise.resolve(null);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ sku_id, resolve });
      if (this.#waiting.length === 1) setImmediate(() => void this.#readForAll());
    });
  }

  /** Reads many SKUs at once, ahead of requests. Never throws. @returns null for a SKU without a reading */
  async read(sku_ids: readonly string[]): Promise<readonly (StockReading | null)[]> {
    const nowMs = performance.now();
    if (nowMs < this.#pausedUntilMs) return sku_ids.map(() => null);
    const untilMs = nowMs + this.#waitMs;
    try {
      return await withTimeout(this.#source.read(sku_ids, untilMs), this.#waitMs, () => new Error('no answer in time'));
    } catch (error) {
      if (isProgramFault(error)) this.#onFault(error);
      this.#pausedUntilMs = performance.now() + PAUSE_MS;
      this.#watcher.skipped(this.name);
      return sku_ids.map(() => null);
    }
  }

  async #readForAll(): Promise<void> {
    const waiters = this.#waiting;
    this.#waiting = [];
    const sku_ids = [...new Set(waiters.map(({ sku_id }) => sku_id))];
    const readings = await this.read(sku_ids);
    const bySku = new Map(sku_ids.map((sku_id, index) => [sku_id, readings[index] ?? null]));
    for (const { sku_id, resolve } of waiters) resolve(bySku.get(sku_id) ?? null);
  }
}
