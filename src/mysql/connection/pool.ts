import type { Breaker } from '../../core/breaker.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { PoolState } from '../../core/ports/shardOverview.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { Connection } from './connection.ts';
import { ServerError, ShardRefused, Unavailable } from './failures.ts';
import type { AdmissionBound } from './admissionBound.ts';
import { errorText } from '../../core/text/errorText.ts';

export interface PoolOptions {
  readonly connections_max: number;
  readonly admission: AdmissionBound;
  readonly breaker: Breaker;
  /** Opens a connection that is fit for use. */
  open(deadlineMs: DeadlineMs): Promise<Connection>;
  /** Asks the server whether the shard is still fit for use. @throws ShardRefused when it is not */
  inspect(connection: Connection, deadlineMs: DeadlineMs): Promise<void>;
  /** Maintains a shard that was just found fit for use. */
  maintain?(connection: Connection, deadlineMs: DeadlineMs): Promise<void>;
  /** Called with a programming error from `open`, `inspect` or `maintain`: nothing else would show it. */
  onFault?(error: unknown): void;
  /** The longest time for opening or inspecting. */
  readonly openMs: number;
  /** A connection silent for half of this is pinged; it must be below the server's `wait_timeout` for our sessions. */
  readonly silentMs: number;
  /** A connection that was not used for longer is closed, except the last one. */
  readonly unusedMs: number;
}

const BREAKER_OPEN = 'the shard has not been answering';

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
 * that. Once a second one connection, under load too, is used to inspect the shard. When nearly no call is answered the
 * breaker opens, and only that inspection still sends calls.
 */
export class ConnectionPool {
  readonly #options: PoolOptions;
  /** The one used last is at the end and is lent first, so that the others can be closed under low load. */
  readonly #idle: Connection[] = [];
  readonly #lent = new Set<Connection>();
  /** Connections that were lent when the shard was found unfit. They are closed when they come back. */
  readonly #unfit = new WeakSet<Connection>();
  readonly #waiters = new Set<Waiter>();
  /** Inspections go before all other waiters: under load they would never get a connection. */
  readonly #inspectors = new Set<Waiter>();
  readonly #ticker: NodeJS.Timeout;
  #opening = 0;
  #closed = false;
  /** Why the last inspection refused the shard; null: it did not, or there was none yet. */
  #refusal: string | null = null;
  #refusals = 0;
  /** The first inspection is due at once, however young the process is. */
  #inspectedMs = -Infinity;
  #inspecting = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#ticker = setInterval(() => this.#tick(), options.silentMs / 2).unref();
    this.#tick();
  }

  state(): PoolState {
    const { connections_max, admission } = this.#options;
    return {
      connections_max,
      open: this.#idle.length + this.#lent.size,
      busy: this.#lent.size,
      waiting: admission.count,
      waiting_max: admission.max,
    };
  }

  /**
   * Lends a connection; give it back with `release` or `discard`.
   *
   * @throws Unavailable when none is free before the deadline, too many wait, the shard cannot be reached or has not
   *   been answering
   */
  acquire(deadlineMs: DeadlineMs): Promise<Connection> {
    if (this.#options.breaker.isOpen) return Promise.reject(new Unavailable(BREAKER_OPEN));
    // Only the inspection tries a refused shard again: each other caller would open a connection in vain.
    if (this.#refusal !== null) return Promise.reject(new Unavailable(this.#refusal));
    return this.#acquire(deadlineMs, this.#waiters);
  }

  #acquire(deadlineMs: DeadlineMs, queue: Set<Waiter>): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Unavailable('the pool is closed'));
    const waitMs = deadlineMs - performance.now();
    if (waitMs <= 0) return Promise.reject(new Unavailable('the deadline passed before work began'));
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#lent.add(idle);
      return Promise.resolve(idle);
    }
    const { connections_max, admission } = this.#options;
    const isCounted = queue === this.#waiters;
    if (isCounted && !admission.enter(connections_max - this.#lent.size)) {
      return Promise.reject(new Unavailable('too many requests wait for this shard'));
    }
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        if (isCounted) admission.leave();
        queue.delete(waiter);
      };
      const waiter: Waiter = {
        resolve: (connection) => (finish(), resolve(connection)),
        reject: (error) => (finish(), reject(error)),
      };
      const timer = setTimeout(() => waiter.reject(new Unavailable('no connection became free in time')), waitMs);
      queue.add(waiter);
      this.#grow();
    });
  }

  /**
   * Lends a connection for some work, and takes it back.
   *
   * @param work leaves no transaction open when it returns; when it throws, only one that the server has rolled back
   * @throws Unavailable like `acquire`, and every error of `work`
   */
  async lend<T>(deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.acquire(deadlineMs);
    try {
      return await work(connection);
    } finally {
      if (connection.isLost) this.discard(connection);
      else this.release(connection);
    }
  }

  /** Takes back a connection that has no transaction open. */
  release(connection: Connection): void {
    this.#lent.delete(connection);
    connection.lastUsedMs = performance.now();
    this.#record(true);
    this.#offer(connection, 'last');
  }

  /** Closes a connection that must not be used again. */
  discard(connection: Connection): void {
    this.#lent.delete(connection);
    this.#record(!connection.isLostInSilence);
    // The other connections lead to the same server; new ones may lead to the new primary.
    if (connection.isLostToReadOnly) this.#retireOpen();
    connection.destroy();
    this.#grow();
  }

  /**
   * Inspects the shard; never throws. It uses the newest connection, or opens the first: so a shard that could not be
   * reached is found again without any request.
   */
  async inspect(): Promise<void> {
    this.#inspecting = true;
    try {
      const deadlineMs = performance.now() + this.#options.openMs;
      const connection = await this.#acquire(deadlineMs, this.#inspectors);
      try {
        await this.#options.inspect(connection, deadlineMs);
        this.#refusal = null;
        this.#options.breaker.close();
        await this.#options.maintain?.(connection, deadlineMs);
        this.release(connection);
      } catch (error) {
        this.discard(connection);
        if (isProgramFault(error)) this.#options.onFault?.(error);
        if (error instanceof ShardRefused) this.#refuseShard(error.message);
      }
    } catch {
      // There was no connection. The attempt to open one has reported why.
    } finally {
      this.#inspecting = false;
      this.#inspectedMs = performance.now();
    }
  }

  /** Closes idle connections and rejects waiters. Connections in use are closed when they come back. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    this.#rejectWaiters('the pool is closed');
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** @param place its position among the idle: connections that were only pinged stay behind those that were used */
  #offer(connection: Connection, place: 'first' | 'last'): void {
    if (this.#closed || this.#unfit.has(connection)) connection.destroy();
    if (connection.isLost) return this.#grow();
    const waiter = firstOf(this.#inspectors) ?? firstOf(this.#waiters);
    if (waiter !== undefined) {
      this.#lent.add(connection);
      waiter.resolve(connection);
      return;
    }
    connection.lastCallMs = performance.now();
    if (place === 'last') this.#idle.push(connection);
    else this.#idle.unshift(connection);
  }

  /** Opens connections while more callers wait than connections are being opened. */
  #grow(): void {
    while (
      !this.#closed &&
      this.#opening < this.#inspectors.size + this.#waiters.size &&
      this.#idle.length + this.#lent.size + this.#opening < this.#options.connections_max
    ) {
      void this.#openOne();
    }
  }

  async #openOne(): Promise<void> {
    this.#opening += 1;
    try {
      const refusals = this.#refusals;
      const connection = await this.#options.open(performance.now() + this.#options.openMs);
      this.#opening -= 1;
      // The shard was refused after this connection began to open.
      if (refusals !== this.#refusals) connection.destroy();
      if (connection.isLost) return this.#grow();
      this.#refusal = null;
      connection.whenLost(() => this.#forget(connection));
      connection.lastUsedMs = performance.now();
      this.#offer(connection, 'last');
    } catch (error) {
      this.#opening -= 1;
      if (isProgramFault(error)) this.#options.onFault?.(error);
      this.#record(error instanceof ShardRefused || error instanceof ServerError);
      if (error instanceof ShardRefused) this.#refuseShard(error.message);
      // While other connections are in use, a waiter may still get one of them. With none, waiting is of no use.
      else if (this.#lent.size + this.#opening === 0) this.#rejectWaiters(errorText(error));
    }
  }

  /** Records whether the server answered. */
  #record(answered: boolean): void {
    if (this.#options.breaker.record(answered, performance.now())) this.#rejectWaiters(BREAKER_OPEN);
  }

  #rejectWaiters(reason: string): void {
    for (const waiter of [...this.#inspectors, ...this.#waiters]) waiter.reject(new Unavailable(reason));
  }

  /** The shard must not be used as it is now: no connection that was opened before is used again. */
  #refuseShard(reason: string): void {
    this.#refusals += 1;
    this.#refusal = reason;
    this.#rejectWaiters(reason);
    this.#retireOpen();
  }

  /** No connection that is open now is used again. */
  #retireOpen(): void {
    for (const connection of this.#lent) this.#unfit.add(connection);
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #forget(connection: Connection): void {
    const place = this.#idle.indexOf(connection);
    if (place !== -1) this.#idle.splice(place, 1);
  }

  /** Closes unused connections, pings silent ones, and inspects the shard. */
  #tick(): void {
    const nowMs = performance.now();
    const { silentMs, unusedMs } = this.#options;
    for (const connection of this.#idle.slice(0, -1)) {
      if (connection.lastUsedMs < nowMs - unusedMs) connection.destroy();
      else if (connection.lastCallMs < nowMs - silentMs / 2) void this.#ping(connection);
    }
    if (!this.#inspecting && nowMs - this.#inspectedMs >= silentMs / 2) void this.inspect();
  }

  async #ping(connection: Connection): Promise<void> {
    this.#forget(connection);
    this.#lent.add(connection);
    try {
      await connection.run('DO 1', [], performance.now() + this.#options.openMs);
      this.#lent.delete(connection);
      this.#offer(connection, 'first');
    } catch {
      this.discard(connection);
    }
  }
}

function firstOf<T>(things: ReadonlySet<T>): T | undefined {
  const [first] = things;
  return first;
}
