import { Breaker } from '../../core/breaker.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { ReplicaState } from '../../core/ports.ts';
import type { ShardClock } from '../batching/shardClock.ts';
import { Connection } from '../connection.ts';
import type { Address } from '../connection.ts';
import { reasonOf, ShardRefused, Unavailable } from '../failures.ts';
import { ConnectionPool } from '../pool.ts';
import { checkReplica } from '../sql/checkReplica.ts';
import { prepareReader } from '../sql/prepareReader.ts';
import { readHeartbeat, readSights } from '../sql/readSights.ts';
import type { SeenSkus } from '../sql/readSights.ts';
import { WaitingRoom } from '../waitingRoom.ts';
import { ageMsOf } from './age.ts';
import type { AskedAt } from './age.ts';

export interface ReplicaOptions {
  readonly address: Address;
  readonly shard: ShardIndex;
  readonly initialShards: number;
  /** Of the shard's primary. */
  readonly clock: ShardClock;
  readonly connections_max: number;
  /** The longest wait for one answer. */
  readonly statementMs: number;
  /** Who is further behind is left out. */
  readonly lagMsMax: number;
}

/** How often each is looked at. */
const WATCH_MS = 200;
const WAITING_MAX = 256;
const UNUSED_MS = 30_000;
/** Well below the two seconds after which the server ends a silent session of ours. */
const SILENT_MS = 1_000;

/** The last look that was answered. */
interface Seen extends AskedAt {
  readonly heartbeatMs: number | null;
}

/** A server that follows a shard's primary: its connections, and how old what it shows is. */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #breaker: Breaker;
  #pool: ConnectionPool | null = null;
  #watch: NodeJS.Timeout | null = null;
  #seen: Seen | null = null;
  /** Why it cannot be asked; null when it answered last. */
  #fault: { readonly state: 'silent' | 'refused' | 'untried'; readonly reason: string } | null = {
    state: 'untried',
    reason: 'it was not looked at yet',
  };
  /** Told by the inspection of a connection, and by nobody else. */
  #refusal: string | null = null;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#breaker = new Breaker({
      windowMs: 1_000,
      failuresMin: Math.min(5, options.connections_max),
      successShareMin: 0.1,
    });
  }

  start(): void {
    if (this.#pool !== null) return;
    const { connections_max, statementMs } = this.#options;
    this.#pool = new ConnectionPool({
      connections_max,
      room: new WaitingRoom(WAITING_MAX),
      breaker: this.#breaker,
      open: (deadlineMs) => this.#open(deadlineMs),
      inspect: (connection, deadlineMs) => this.#inspect(connection, deadlineMs),
      openMs: statementMs * 2,
      silentMs: SILENT_MS,
      unusedMs: UNUSED_MS,
    });
    void this.#look();
  }

  stop(): void {
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#pool?.close();
    this.#pool = null;
  }

  /** The youngest heartbeat it is known to have; null when it must not be asked. */
  heartbeatMs(): number | null {
    return this.state().state === 'following' ? (this.#seen?.heartbeatMs ?? null) : null;
  }

  state(): ReplicaState {
    const { clock, lagMsMax, address } = this.#options;
    const told = (state: ReplicaState['state'], reason: string | null, lagMs: number | null): ReplicaState => ({
      host: address.host,
      port: address.port,
      state,
      reason,
      lagMs,
    });
    const seen = this.#seen;
    const heartbeatMs = seen?.heartbeatMs ?? null;
    const lagMs = seen === null || heartbeatMs === null ? null : ageMsOf(heartbeatMs, seen, clock, lagMsMax);
    if (this.#fault !== null) return told(this.#fault.state, this.#fault.reason, lagMs);
    if (heartbeatMs === null) return told('unclear', 'its shard has no heartbeat yet', null);
    if (lagMs === null) return told('unclear', "its heartbeat and the shard's clock do not fit together", null);
    // What was seen grows old until it is looked at again.
    const nowMs = performance.now();
    const ageMs = ageMsOf(heartbeatMs, { askedMs: nowMs, heardMs: nowMs }, clock, lagMsMax) ?? Infinity;
    return ageMs > lagMsMax
      ? told('lagging', `it is more than ${lagMsMax} ms behind`, lagMs)
      : told('following', null, lagMs);
  }

  /**
   * Reads SKUs in one snapshot.
   *
   * @returns what it shows, and when it was asked
   * @throws Unavailable, ConnectionLost or ServerError when it does not answer in time
   */
  async read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<{ seen: SeenSkus; at: AskedAt }> {
    const endMs = Math.min(deadlineMs, performance.now() + this.#options.statementMs);
    // Who is in a hurry says nothing about the replica.
    const [seen, at] = await this.#ask(endMs, endMs < deadlineMs, (connection) =>
      readSights(connection, sku_ids, endMs),
    );
    this.#note({ heartbeatMs: seen.heartbeatMs, ...at });
    return { seen, at };
  }

  async #look(): Promise<void> {
    try {
      const endMs = performance.now() + this.#options.statementMs;
      const [heartbeatMs, at] = await this.#ask(endMs, true, (connection) => readHeartbeat(connection, endMs));
      this.#note({ heartbeatMs, ...at });
    } catch {
      // Noted by who asked.
    } finally {
      if (this.#pool !== null) this.#watch = setTimeout(() => void this.#look(), WATCH_MS).unref();
    }
  }

  /** @param tellsOfIt whether a failure means that the replica is away */
  async #ask<T>(
    deadlineMs: DeadlineMs,
    tellsOfIt: boolean,
    read: (connection: Connection) => Promise<T>,
  ): Promise<[T, AskedAt]> {
    if (this.#pool === null) throw new Unavailable('the replica is not watched');
    try {
      const answer = await this.#pool.lend(deadlineMs, async (connection): Promise<[T, AskedAt]> => {
        const askedMs = performance.now();
        const read_ = await read(connection);
        return [read_, { askedMs, heardMs: performance.now() }];
      });
      this.#fault = null;
      return answer;
    } catch (error) {
      if (tellsOfIt)
        this.#fault =
          this.#refusal !== null
            ? { state: 'refused', reason: this.#refusal }
            : { state: 'silent', reason: reasonOf(error) };
      throw error;
    }
  }

  #note(seen: Seen): void {
    if (this.#seen === null || seen.askedMs > this.#seen.askedMs) this.#seen = seen;
  }

  async #open(deadlineMs: DeadlineMs): Promise<Connection> {
    const connection = await Connection.open(this.#options.address, this.#options.statementMs);
    try {
      await this.#refusable(() => prepareReader(connection, deadlineMs));
      await this.#inspect(connection, deadlineMs);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #inspect(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const { shard, initialShards } = this.#options;
    await this.#refusable(() => checkReplica(connection, shard, initialShards, deadlineMs));
    this.#refusal = null;
  }

  /** Notes why the replica is refused, where that is why a look at it failed. */
  async #refusable(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#refusal = error instanceof ShardRefused ? error.message : null;
      throw error;
    }
  }
}
