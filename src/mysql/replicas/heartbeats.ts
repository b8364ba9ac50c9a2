import { hadNoEffect } from '../failures.ts';
import type { ConnectionPool } from '../pool.ts';
import { beatHeart, HEARTBEAT_MS } from '../sql/beatHeart.ts';
import { LOCK_SAID_MS } from '../sql/prepareSession.ts';

/** After its own beat a gateway waits a little longer than it must, so that it does not come too early. */
const OWN_PAUSE_MS = HEARTBEAT_MS + 5;
/** When somebody else's counts: he may be gone by the next. */
const OTHERS_PAUSE_MS = HEARTBEAT_MS / 2;
/** For a connection and, where the row is locked, for the server to say so. */
const BEAT_MS_MAX = LOCK_SAID_MS + 400;

/**
 * Keeps the heartbeats of shards young on their primaries, together with all other gateways: what a replica shows of its
 * shard's heartbeat tells how old it is. A beat that fails is left out; the next one says more than it would have.
 */
export class Heartbeats {
  readonly #pools: readonly Pick<ConnectionPool, 'lend'>[];
  readonly #onFault: (error: unknown) => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #beating = new Set<Promise<void>>();
  #isRunning = false;

  /**
   * @param shards those that have replicas
   * @param onFault told of what is no failure of a shard
   */
  constructor(shards: readonly { readonly pool: Pick<ConnectionPool, 'lend'> }[], onFault: (error: unknown) => void) {
    this.#pools = shards.map(({ pool }) => pool);
    this.#onFault = onFault;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#pools.forEach((_, place) => this.#after(place, 0));
  }

  /** Resolves when no beat is on its way any more. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#beating);
  }

  #after(place: number, pauseMs: number): void {
    if (this.#isRunning) this.#timers.set(place, setTimeout(() => this.#begin(place), pauseMs).unref());
  }

  #begin(place: number): void {
    const beating = this.#beat(place).finally(() => this.#beating.delete(beating));
    this.#beating.add(beating);
  }

  async #beat(place: number): Promise<void> {
    const deadlineMs = performance.now() + BEAT_MS_MAX;
    let isOwn = false;
    try {
      isOwn = (await this.#pools[place]?.lend(deadlineMs, (connection) => beatHeart(connection, deadlineMs))) ?? false;
    } catch (error) {
      if (!hadNoEffect(error)) this.#onFault(error);
    } finally {
      this.#after(place, isOwn ? OWN_PAUSE_MS : OTHERS_PAUSE_MS);
    }
  }
}
