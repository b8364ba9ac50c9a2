import { hadNoEffect } from '../connection/failures.ts';
import type { ConnectionPool } from '../connection/pool.ts';
import { writeHeartbeat, HEARTBEAT_MS } from '../sql/session/writeHeartbeat.ts';
import { LOCK_ERROR_MS } from '../sql/session/prepareSession.ts';

/** After its own heartbeat a gateway waits a little longer than it must, so that the next is not too early. */
const OWN_PAUSE_MS = HEARTBEAT_MS + 5;
/** The pause after a heartbeat of another gateway, which may have stopped before the next one is due. */
const OTHERS_PAUSE_MS = HEARTBEAT_MS / 2;
/** Time for a connection and, if the row is locked, for the server's lock error. */
const BEAT_MS_MAX = LOCK_ERROR_MS + 400;

/**
 * Keeps the heartbeats of shards young on their primaries, together with all other gateways. The heartbeat that a
 * replica shows gives its age. A heartbeat that fails is skipped: the next one is younger than it would have been.
 */
export class Heartbeats {
  readonly #pools: readonly Pick<ConnectionPool, 'lend'>[];
  readonly #onFault: (error: unknown) => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  #isRunning = false;

  /**
   * @param shards those that have replicas
   * @param onFault receives every error that is not a failure of a shard
   */
  constructor(shards: readonly { readonly pool: Pick<ConnectionPool, 'lend'> }[], onFault: (error: unknown) => void) {
    this.#pools = shards.map(({ pool }) => pool);
    this.#onFault = onFault;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#pools.forEach((_, index) => this.#schedule(index, 0));
  }

  /** Resolves when no heartbeat is being written any more. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#running);
  }

  #schedule(index: number, pauseMs: number): void {
    if (this.#isRunning) this.#timers.set(index, setTimeout(() => this.#begin(index), pauseMs).unref());
  }

  #begin(index: number): void {
    const running = this.#writeHeartbeat(index).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #writeHeartbeat(index: number): Promise<void> {
    const deadlineMs = performance.now() + BEAT_MS_MAX;
    let isOwn = false;
    try {
      isOwn =
        (await this.#pools[index]?.lend(deadlineMs, (connection) => writeHeartbeat(connection, deadlineMs))) ?? false;
    } catch (error) {
      if (!hadNoEffect(error)) this.#onFault(error);
    } finally {
      this.#schedule(index, isOwn ? OWN_PAUSE_MS : OTHERS_PAUSE_MS);
    }
  }
}
