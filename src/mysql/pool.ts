import type { DeadlineMs } from '../core/nouns.ts';
import type { PoolState } from '../core/ports.ts';
import type { Connection } from './connection.ts';
import { reasonOf, ShardRefused, Unavailable } from './failures.ts';

export interface PoolLimits {
  readonly connections_max: number;
  /** How many callers may wait for a connection; one more is turned away at once. */
  readonly waiting_max: number;
  /** A connection silent for half of this is pinged; it must be below the server's `wait_timeout` for our sessions. */
  readonly silentMs: number;
  /** A connection that nobody needed for longer is closed, but for the last one. */
  readonly unusedMs: number;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: Error): void;
}

/**
 * The connections to one shard: a bounded number of them, a bounded queue in front, and a deadline on every wait, so
 * that a frozen shard fills its own queue and nothing else.
 *
 * mysql2's own pool has no time limit on the wait, and it hands out connections that died while idle. Here the server
 * ends silent sessions after two seconds (no row lock outlives a frozen gateway), so idle connections are pinged before
 * that, which tells at the same time whether the shard is alive.
 */
export class ConnectionPool {
  readonly #open: (deadlineMs: DeadlineMs) => Promise<Connection>;
  readonly #limits: PoolLimits;
  readonly #openMs: number;
  readonly #idle: Connection[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #ticker: NodeJS.Timeout;
  #busy = 0;
  #opening = 0;
  #closed = false;

  /** @param open opens and checks a connection; @param openMs the longest that may take */
  constructor(open: (deadlineMs: DeadlineMs) => Promise<Connection>, openMs: number, limits: PoolLimits) {
    this.#open = open;
    this.#openMs = openMs;
    this.#limits = limits;
    this.#ticker = setInterval(() => this.#tick(), limits.silentMs / 2).unref();
    void this.#openOne();
  }

  state(): PoolState {
    return {
      connections_max: this.#limits.connections_max,
      open: this.#idle.length + this.#busy,
      busy: this.#busy,
      waiting: this.#waiters.size,
      waiting_max: this.#limits.waiting_max,
    };
  }

  /**
   * Lends a connection; give it back with `release` or `discard`.
   *
   * @throws Unavailable when none is free before the deadline, the queue is full or the shard cannot be reached
   */
  acquire(deadlineMs: DeadlineMs): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Unavailable('the pool is closed'));
    const waitMs = deadlineMs - performance.now();
    if (waitMs <= 0) return Promise.reject(new Unavailable('the deadline passed before work began'));
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#busy += 1;
      return Promise.resolve(idle);
    }
    if (this.#waiters.size >= this.#limits.waiting_max) return Promise.reject(new Unavailable('the queue is full'));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        resolve: (connection) => (settle(), resolve(connection)),
        reject: (error) => (settle(), reject(error)),
      };
      const timer = setTimeout(() => waiter.reject(new Unavailable('no connection became free in time')), waitMs);
      this.#waiters.add(waiter);
      this.#grow();
    });
  }

  /** Takes back a connection that has no transaction open. */
  release(connection: Connection): void {
    this.#busy -= 1;
    connection.lastUsedMs = performance.now();
    this.#offer(connection);
  }

  /** Ends a connection that nobody may use again. */
  discard(connection: Connection): void {
    this.#busy -= 1;
    connection.destroy();
    this.#grow();
  }

  /** Closes what is idle and turns away who waits; connections in use are closed when they come back. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    for (const waiter of [...this.#waiters]) waiter.reject(new Unavailable('the pool is closed'));
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #offer(connection: Connection): void {
    if (this.#closed) connection.destroy();
    if (connection.isLost) return this.#grow();
    const [waiter] = this.#waiters;
    if (waiter === undefined) {
      connection.lastHeardMs = performance.now();
      this.#idle.push(connection);
    } else {
      this.#busy += 1;
      waiter.resolve(connection);
    }
  }

  /** Opens connections while callers wait for more than are on their way. */
  #grow(): void {
    while (
      !this.#closed &&
      this.#opening < this.#waiters.size &&
      this.#idle.length + this.#busy + this.#opening < this.#limits.connections_max
    ) {
      void this.#openOne();
    }
  }

  async #openOne(): Promise<void> {
    this.#opening += 1;
    try {
      const connection = await this.#open(performance.now() + this.#openMs);
      this.#opening -= 1;
      connection.whenLost(() => this.#forget(connection));
      connection.lastUsedMs = performance.now();
      this.#offer(connection);
    } catch (error) {
      this.#opening -= 1;
      // While others are in use, who waits may still get one of those; alone, waiting longer is of no use.
      if (error instanceof ShardRefused || this.#busy + this.#opening === 0) {
        for (const waiter of [...this.#waiters]) waiter.reject(new Unavailable(reasonOf(error)));
      }
    }
  }

  #forget(connection: Connection): void {
    const place = this.#idle.indexOf(connection);
    if (place !== -1) this.#idle.splice(place, 1);
  }

  /** Closes what nobody needs, pings what has been silent, and keeps at least one connection open or on its way. */
  #tick(): void {
    const nowMs = performance.now();
    const isUnused = (connection: Connection): boolean => connection.lastUsedMs < nowMs - this.#limits.unusedMs;
    const isSilent = (connection: Connection): boolean => connection.lastHeardMs < nowMs - this.#limits.silentMs / 2;
    // The newest is at the end of the list and is lent first, so the unused gather at its beginning.
    for (const connection of this.#idle.slice(0, -1).filter(isUnused)) connection.destroy();
    for (const connection of this.#idle.filter(isSilent)) void this.#ping(connection);
    if (this.#idle.length + this.#busy + this.#opening === 0) void this.#openOne();
  }

  async #ping(connection: Connection): Promise<void> {
    this.#forget(connection);
    this.#busy += 1;
    try {
      await connection.run('DO 1', [], performance.now() + this.#openMs);
      this.#busy -= 1;
      this.#offer(connection);
    } catch {
      this.discard(connection);
    }
  }
}
