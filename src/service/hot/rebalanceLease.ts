import type { Layouts } from '../../core/ports/layouts.ts';
import type { DeadlineMs } from '../../core/types.ts';
import { pause } from '../../core/async/pause.ts';
import type { Routing } from '../routing/routing.ts';

/** A lease that is not released ends after this time. */
const LEASE_MS = 1_000;
/** After this time the lease is released once, so that other gateways can take it. */
const USE_MS = 150;
const PAUSE_MS = 3;
const FREE_MS = 1_000;

/** The ports of a rebalance lease. */
export interface RebalanceLeasePorts {
  readonly routing: Routing;
  readonly store: Layouts;
  /** Makes a text of 32 hexadecimal digits, unique among all gateways. */
  readonly newId: () => string;
}

/** The right of one gateway to move units of a SKU between its rows, for a short time. */
export class RebalanceLease {
  readonly #ports: RebalanceLeasePorts;
  readonly #sku_id: string;
  readonly #token: string;
  #sinceMs: number | null = null;

  constructor(ports: RebalanceLeasePorts, sku_id: string) {
    this.#ports = ports;
    this.#sku_id = sku_id;
    this.#token = ports.newId();
  }

  get isAcquired(): boolean {
    return this.#sinceMs !== null;
  }

  /** Whether no other gateway can have the lease yet. It began when the request for it was sent, or later. */
  get isHeld(): boolean {
    return this.#sinceMs !== null && performance.now() < this.#sinceMs + LEASE_MS;
  }

  /**
   * Takes the lease, or keeps it.
   *
   * @param untilMs the deadline of a single request to the shard
   * @param waitUntilMs until then the request is repeated
   * @returns false when another gateway had the lease for the whole time
   */
  async take(untilMs: DeadlineMs, waitUntilMs = untilMs): Promise<boolean> {
    if (this.#sinceMs !== null && performance.now() < this.#sinceMs + USE_MS) return true;
    if (this.#sinceMs !== null) {
      await this.end();
      // Gateways that have waited go first.
      await pause(2 * PAUSE_MS * (1 + Math.random()));
    }
    const { store, routing } = this.#ports;
    while (performance.now() < Math.min(untilMs, waitUntilMs)) {
      const sentMs = performance.now();
      if (await store.takeLease(routing.map.shardOf(this.#sku_id), this.#sku_id, this.#token, LEASE_MS, untilMs)) {
        this.#sinceMs = sentMs;
        return true;
      }
      await pause(PAUSE_MS * (1 + Math.random()));
    }
    return false;
  }

  async end(): Promise<void> {
    if (this.#sinceMs === null) return;
    this.#sinceMs = null;
    const { store, routing } = this.#ports;
    await store.releaseLease(routing.map.shardOf(this.#sku_id), this.#sku_id, this.#token, performance.now() + FREE_MS);
  }
}
