import type { Layouts } from '../../core/hotPorts.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import { pause } from '../freeHolds.ts';
import type { Routing } from '../routing.ts';

/** A lease that nobody frees ends by itself. */
const LEASE_MS = 1_000;
/** After this time others get their turn. */
const TURN_MS = 150;
const PAUSE_MS = 3;
const FREE_MS = 1_000;

/** What a turn works with. */
export interface TurnParts {
  readonly routing: Routing;
  readonly store: Layouts;
  /** Makes a text of 32 hexadecimal digits that nobody else makes. */
  readonly newId: () => string;
}

/** The right to move units of a SKU, for a while. */
export class Turn {
  readonly #parts: TurnParts;
  readonly #sku_id: string;
  readonly #token: string;
  #sinceMs: number | null = null;

  constructor(parts: TurnParts, sku_id: string) {
    this.#parts = parts;
    this.#sku_id = sku_id;
    this.#token = parts.newId();
  }

  get isTaken(): boolean {
    return this.#sinceMs !== null;
  }

  /** Whether no other gateway can have the lease yet: it runs from when the shard was asked for it, or later. */
  get isHeld(): boolean {
    return this.#sinceMs !== null && performance.now() < this.#sinceMs + LEASE_MS;
  }

  /**
   * @param untilMs for a single question to the shard
   * @param waitUntilMs for as long it is asked again
   * @returns false when another gateway has it for the whole time
   */
  async take(untilMs: DeadlineMs, waitUntilMs = untilMs): Promise<boolean> {
    if (this.#sinceMs !== null && performance.now() < this.#sinceMs + TURN_MS) return true;
    if (this.#sinceMs !== null) {
      await this.end();
      // Others have waited.
      await pause(2 * PAUSE_MS * (1 + Math.random()));
    }
    const { store, routing } = this.#parts;
    while (performance.now() < Math.min(untilMs, waitUntilMs)) {
      const askedMs = performance.now();
      if (await store.takeLease(routing.map.shardOf(this.#sku_id), this.#sku_id, this.#token, LEASE_MS, untilMs)) {
        this.#sinceMs = askedMs;
        return true;
      }
      await pause(PAUSE_MS * (1 + Math.random()));
    }
    return false;
  }

  async end(): Promise<void> {
    if (this.#sinceMs === null) return;
    this.#sinceMs = null;
    const { store, routing } = this.#parts;
    await store.freeLease(routing.map.shardOf(this.#sku_id), this.#sku_id, this.#token, performance.now() + FREE_MS);
  }
}
