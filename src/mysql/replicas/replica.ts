import { Breaker } from '../../core/breaker.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { ReplicaState } from '../../core/ports/shardOverview.ts';
import type { ShardClock } from '../batching/shardClock.ts';
import { Connection } from '../connection/connection.ts';
import type { Address } from '../connection/connection.ts';
import { ShardRefused, Unavailable } from '../connection/failures.ts';
import { ConnectionPool } from '../connection/pool.ts';
import { checkReplica } from '../sql/session/checkReplica.ts';
import { prepareReader } from '../sql/session/prepareReader.ts';
import { readHeartbeat, readReplicaRows } from '../sql/readings/readReplicaRows.ts';
import type { ReplicaSkus } from '../sql/readings/readReplicaRows.ts';
import { AdmissionBound } from '../connection/admissionBound.ts';
import { ageMsOf } from './age.ts';
import type { AskedAt } from './age.ts';
import { errorText } from '../../core/text/errorText.ts';

export interface ReplicaOptions {
  readonly address: Address;
  readonly shard: ShardIndex;
  readonly initialShards: number;
  /** The clock of the shard's primary. */
  readonly clock: ShardClock;
  readonly connections_max: number;
  /** The longest wait for one answer. */
  readonly statementMs: number;
  /** A replica that is further behind is not used. */
  readonly lagMsMax: number;
}

/** The interval between two readings of the heartbeat. */
const WATCH_MS = 200;
const WAITING_MAX = 256;
const UNUSED_MS = 30_000;
/** Well below the two seconds after which the server ends a silent session of ours. */
const SILENT_MS = 1_000;

/** The last reading that was answered. */
interface Seen extends AskedAt {
  readonly heartbeatMs: number | null;
}

/** A server that follows a shard's primary: its connections, and the age of the data that it shows. */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #breaker: Breaker;
  #pool: ConnectionPool | null = null;
  #watch: NodeJS.Timeout | null = null;
  #seen: Seen | null = null;
  /** Why it cannot be read; null when the last read was answered. */
  #fault: { readonly state: 'silent' | 'refused' | 'untried'; readonly reason: string } | null = {
    state: 'untried',
    reason: 'it was not read yet',
  };
  /** Set only by the inspection of a connection. */
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
      admission: new AdmissionBound(WAITING_MAX),
      breaker: this.#breaker,
      open: (deadlineMs) => this.#open(deadlineMs),
      inspect: (connection, deadlineMs) => this.#inspect(connection, deadlineMs),
      openMs: statementMs * 2,
      silentMs: SILENT_MS,
      unusedMs: UNUSED_MS,
    });
    void this.#pollHeartbeat();
  }

  stop(): void {
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#pool?.close();
    this.#pool = null;
  }

  /** Its youngest known heartbeat; null when it must not be read. */
  heartbeatMs(): number | null {
    return this.state().state === 'following' ? (this.#seen?.heartbeatMs ?? null) : null;
  }

  state(): ReplicaState {
    const { clock, lagMsMax, address } = this.#options;
    const stateWith = (state: ReplicaState['state'], reason: string | null, lagMs: number | null): ReplicaState => ({
      host: address.host,
      port: address.port,
      state,
      reason,
      lagMs,
    });
    const seen = this.#seen;
    const heartbeatMs = seen?.heartbeatMs ?? null;
    const lagMs = seen === null || heartbeatMs === null ? null : ageMsOf(heartbeatMs, seen, clock, lagMsMax);
    if (this.#fault !== null) return stateWith(this.#fault.state, this.#fault.reason, lagMs);
    if (heartbeatMs === null) return stateWith('unclear', 'its shard has no heartbeat yet', null);
    if (lagMs === null) return stateWith('unclear', "its heartbeat and the shard's clock do not fit together", null);
    // The reading ages until the next one.
    const nowMs = performance.now();
    const ageMs = ageMsOf(heartbeatMs, { askedMs: nowMs, receivedMs: nowMs }, clock, lagMsMax) ?? Infinity;
    return ageMs > lagMsMax
      ? stateWith('lagging', `it is more than ${lagMsMax} ms behind`, lagMs)
      : stateWith('following', null, lagMs);
  }

  /**
   * Reads SKUs in one snapshot.
   *
   * @returns the rows that it shows, and when they were asked for
   * @throws Unavailable, ConnectionLost or ServerError when it does not answer in time
   */
  async read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<{ seen: ReplicaSkus; at: AskedAt }> {
    const endMs = Math.min(deadlineMs, performance.now() + this.#options.statementMs);
    // If the caller's deadline is shorter than the statement's, a timeout proves nothing about the replica.
    const [seen, at] = await this.#ask(endMs, endMs < deadlineMs, (connection) =>
      readReplicaRows(connection, sku_ids, endMs),
    );
    this.#store({ heartbeatMs: seen.heartbeatMs, ...at });
    return { seen, at };
  }

  async #pollHeartbeat(): Promise<void> {
    try {
      const endMs = performance.now() + this.#options.statementMs;
      const [heartbeatMs, at] = await this.#ask(endMs, true, (connection) => readHeartbeat(connection, endMs));
      this.#store({ heartbeatMs, ...at });
    } catch {
      // `#ask` has stored the failure.
    } finally {
      if (this.#pool !== null) this.#watch = setTimeout(() => void this.#pollHeartbeat(), WATCH_MS).unref();
    }
  }

  /** @param failureCounts whether a failure means that the replica cannot be reached */
  async #ask<T>(
    deadlineMs: DeadlineMs,
    failureCounts: boolean,
    read: (connection: Connection) => Promise<T>,
  ): Promise<[T, AskedAt]> {
    if (this.#pool === null) throw new Unavailable('the replica is not watched');
    try {
      const answer = await this.#pool.lend(deadlineMs, async (connection): Promise<[T, AskedAt]> => {
        const askedMs = performance.now();
        const result = await read(connection);
        return [result, { askedMs, receivedMs: performance.now() }];
      });
      this.#fault = null;
      return answer;
    } catch (error) {
      if (failureCounts)
        this.#fault =
          this.#refusal !== null
            ? { state: 'refused', reason: this.#refusal }
            : { state: 'silent', reason: errorText(error) };
      throw error;
    }
  }

  #store(seen: Seen): void {
    if (this.#seen === null || seen.askedMs > this.#seen.askedMs) this.#seen = seen;
  }

  async #open(deadlineMs: DeadlineMs): Promise<Connection> {
    const connection = await Connection.open(this.#options.address, this.#options.statementMs);
    try {
      await this.#recordRefusal(() => prepareReader(connection, deadlineMs));
      await this.#inspect(connection, deadlineMs);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #inspect(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const { shard, initialShards } = this.#options;
    await this.#recordRefusal(() => checkReplica(connection, shard, initialShards, deadlineMs));
    this.#refusal = null;
  }

  /** Stores why the replica is refused, if that is why a check of it failed. */
  async #recordRefusal(check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      this.#refusal = error instanceof ShardRefused ? error.message : null;
      throw error;
    }
  }
}
