import { Breaker } from '../core/breaker.ts';
import type { BreakerOptions } from '../core/breaker.ts';
import type { Generations } from '../core/generations.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { ShardState } from '../core/ports.ts';
import { HASH_VERSION } from '../core/slots.ts';
import { ShardClock } from './batching/shardClock.ts';
import { Connection } from './connection.ts';
import type { Address } from './connection.ts';
import { ConnectionLost, reasonOf, SERVER_ERROR, ServerError, ShardRefused, Unavailable } from './failures.ts';
import { Gate } from './gate.ts';
import { GenerationKeeper } from './generationKeeper.ts';
import { ConnectionPool } from './pool.ts';
import { RetryBudget } from './retryBudget.ts';
import { GATEWAY_LEVEL } from './schemaLevel.ts';
import { checkShard } from './sql/checkShard.ts';
import type { ShardCheck } from './sql/checkShard.ts';
import { readOrTurnOn } from './sql/precheck.ts';
import type { PrecheckState } from './sql/precheck.ts';
import { prepareSession } from './sql/prepareSession.ts';
import { WaitingRoom } from './waitingRoom.ts';

export interface ShardOptions {
  readonly shard: ShardIndex;
  readonly name: string;
  readonly address: Address;
  readonly initialShards: number;
  readonly connections_max: number;
  readonly waiting_max: number;
  readonly statementMs: number;
  /** The longest wait for a connection, and half of the longest until it is fit for use. Absent: as for an answer. */
  readonly connectMs?: number;
  /** Serve a shard whose commits may be lost with the power; answers then say so. */
  readonly relaxedAllowed: boolean;
  /** Also read a server that takes no writes, such as one at rest: what it shows may be old. Gateways never do. */
  readonly readOnlyAllowed?: boolean;
  /** Early refusals are wanted: units that come into an empty row are to be sold only a while later. */
  readonly isPrechecked?: boolean;
  /** How far all shards have come: one that went back is not served. Absent: nobody looks, as for who mends such a shard. */
  readonly generations?: Generations;
  /** Told when it could not be noted how far the shard has come. */
  readonly onNotMovedOn?: (reason: string) => void;
  /** Told whenever the shard's state or its reason changes. */
  readonly onChange: (state: ShardState) => void;
  /** Called with programming errors that no caller waits for. */
  readonly onFault?: (error: unknown) => void;
}

/** Well below the two seconds after which the server ends a silent session of ours. */
const SILENT_MS = 1_000;
const UNUSED_MS = 30_000;
/**
 * A shard that could not be inspected for so long may have its restock delay turned off: nothing is refused early on
 * it. Far below the time that `turnOffDelay` waits (NOTICED_SECONDS in `sql/precheck.ts`), far above the pause between
 * two inspections.
 */
const PRECHECK_KEPT_MS = 10_000;
/** Of a small pool no more calls can fail at a time than it has connections. */
const breakerOptions = (connections_max: number): BreakerOptions => ({
  windowMs: 1_000,
  failuresMin: Math.min(5, connections_max),
  successShareMin: 0.1,
});

/** One shard: its pool and its gates, and whether it may be served. Every connection is checked before its first use. */
export class Shard {
  readonly pool: ConnectionPool;
  /** One transaction at a time per flow key. */
  readonly flowGate: Gate;
  /** At one SKU at a time no more than half of the connections, so that a locked row leaves the others for the rest. */
  readonly skuGate: Gate;
  /** Resolves once a first connection was opened or failed. */
  readonly tried: Promise<void>;
  readonly retryBudget = new RetryBudget();
  readonly clock = new ShardClock();
  /** Operations that wait for a batch. */
  readonly batchRoom: WaitingRoom;
  readonly #breaker: Breaker;
  readonly #connectMs: number;
  readonly #generation: GenerationKeeper | null;
  readonly #options: ShardOptions;
  #precheck: PrecheckState = { isReady: false, secret: null };
  /** When the shard was asked for it. */
  #precheckedMs = -Infinity;
  #state: ShardState['state'] = 'untried';
  #reason: string | null = null;
  #check: ShardCheck | null = null;
  #wasTried: () => void = () => undefined;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#connectMs = options.connectMs ?? options.statementMs;
    this.#generation =
      options.generations === undefined
        ? null
        : new GenerationKeeper(options.generations, options.shard, (reason) => options.onNotMovedOn?.(reason));
    this.tried = new Promise((resolve) => (this.#wasTried = resolve));
    const room = new WaitingRoom(options.waiting_max);
    this.batchRoom = new WaitingRoom(options.waiting_max);
    this.flowGate = new Gate(1, room);
    this.skuGate = new Gate(Math.ceil(options.connections_max / 2), room);
    this.#breaker = new Breaker(breakerOptions(options.connections_max));
    this.pool = new ConnectionPool({
      breaker: this.#breaker,
      connections_max: options.connections_max,
      room,
      open: (deadlineMs) => this.#open(deadlineMs),
      inspect: (connection, deadlineMs) => this.#inspect(connection, deadlineMs),
      tend: (connection, deadlineMs) => this.#moveOn(connection, deadlineMs),
      onFault: (error) => options.onFault?.(error),
      openMs: this.#connectMs * 2,
      silentMs: SILENT_MS,
      unusedMs: UNUSED_MS,
    });
  }

  get index(): ShardIndex {
    return this.#options.shard;
  }

  get schema(): string {
    return this.#options.address.schema;
  }

  /** Names the server and the account: shards with the same one may share a transaction. */
  get server(): string {
    const { host, port, user, password } = this.#options.address;
    return JSON.stringify([host, port, user, password]);
  }

  /** Whether it is fit for use and answers, as far as is known. */
  get isServing(): boolean {
    return this.#state === 'serving' && !this.#breaker.isOpen;
  }

  /** How it stands with early refusals, as it was last inspected; not ready when that was too long ago. */
  get precheck(): PrecheckState {
    if (!this.#precheck.isReady || performance.now() < this.#precheckedMs + PRECHECK_KEPT_MS) return this.#precheck;
    return { isReady: false, secret: this.#precheck.secret };
  }

  /** False when commits may be lost with the power; null while nobody knows. */
  get durable(): boolean | null {
    return this.#check === null ? null : this.#check.settings.durable.length === 0;
  }

  state(): ShardState {
    const pool = this.pool.state();
    return {
      shard: this.#options.shard,
      name: this.#options.name,
      state: this.#state,
      reason: this.#reason,
      durable: this.durable,
      breaker: this.#breaker.isOpen ? 'open' : 'closed',
      retries: this.retryBudget.retries,
      server_version: this.#check?.server_version ?? null,
      pool: { ...pool, waiting: pool.waiting + this.batchRoom.count },
    };
  }

  /**
   * Whether something answers at the server's address, even with a no: a full server lives, and one that is gone ends its
   * connections. A connection of its own asks, so that nobody is in its way.
   */
  async speaks(): Promise<boolean> {
    try {
      const connection = await Connection.open(this.#options.address, this.#connectMs);
      connection.destroy();
      return true;
    } catch (error) {
      return !(error instanceof ConnectionLost && error.timedOut);
    }
  }

  /** Looks once more whether it may be served, now that the others have been heard: they may know more of it than it does. */
  async lookAgain(): Promise<void> {
    if (this.#state === 'serving') await this.pool.inspect();
  }

  async #open(deadlineMs: DeadlineMs): Promise<Connection> {
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(this.#options.address, this.#options.statementMs, this.#connectMs);
      await prepareSession(connection, deadlineMs);
      if (this.#options.readOnlyAllowed !== true) connection.readPrimaryOnly();
      await this.#inspect(connection, deadlineMs);
      return connection;
    } catch (error) {
      connection?.destroy();
      if (error instanceof ShardRefused) this.#note('refused', error.message);
      // One connection too many says nothing about those that work.
      else if (this.pool.state().open === 0) this.#note('unreachable', reasonOf(error));
      throw error;
    }
  }

  /** Notes what the shard says of itself. @throws ShardRefused when it must not be served as it is */
  async #inspect(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    try {
      const askedMs = performance.now();
      const check = await checkShard(connection, deadlineMs);
      refuseUnfit(check, this.#options);
      this.#check = check;
      this.clock.learn(check.epoch_ms, askedMs);
      await this.#generation?.check(connection, deadlineMs);
      if (this.#options.isPrechecked === true) await this.#readPrecheck(connection, deadlineMs);
      this.#note('serving', null);
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal === null) throw error;
      this.#note('refused', refusal.message);
      throw refusal;
    }
  }

  async #readPrecheck(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const askedMs = performance.now();
    this.#precheck = await orNotReady(readOrTurnOn(connection, deadlineMs));
    this.#precheckedMs = askedMs;
    // A refused write cost the connection: a lost one must not be offered.
    if (connection.isLost) throw new Unavailable('the pre-check of the shard could not be read');
  }

  async #moveOn(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    if (this.#check !== null) await this.#generation?.moveOn(connection, this.#check.epoch_ms, deadlineMs);
  }

  #note(state: ShardState['state'], reason: string | null): void {
    const changed = state !== this.#state || reason !== this.#reason;
    this.#state = state;
    this.#reason = reason;
    this.#wasTried();
    if (changed) this.#options.onChange(this.state());
  }
}

/** Early refusals are no reason not to serve: a server that takes no writes now, or an account that may not turn them on. */
async function orNotReady(reading: Promise<PrecheckState>): Promise<PrecheckState> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof ServerError) return { isReady: false, secret: null };
    throw error;
  }
}

function asRefusal(error: unknown): ShardRefused | null {
  if (error instanceof ShardRefused) return error;
  if (error instanceof ServerError && error.number === SERVER_ERROR.noSuchTable) {
    return new ShardRefused('the schema has no tables yet: run `npm run migrate -- up`');
  }
  return null;
}

/** Says no to a shard that this gateway must not write to, and why. */
function refuseUnfit(check: ShardCheck, options: ShardOptions): void {
  const faults: string[] = [];
  if (check.shard_index !== options.shard)
    faults.push(`this schema holds shard ${check.shard_index}, not ${options.shard}`);
  if (check.initial_shards !== options.initialShards) {
    faults.push(
      `its slots were dealt to ${check.initial_shards} shards, the configuration says ${options.initialShards}`,
    );
  }
  if (check.hash_version !== HASH_VERSION) {
    faults.push(`its hash version is ${check.hash_version}, this gateway's is ${HASH_VERSION}`);
  }
  if (check.schema_level < GATEWAY_LEVEL) {
    faults.push(
      `its schema is at ${check.schema_level}, this gateway needs ${GATEWAY_LEVEL}: run \`npm run migrate -- up\``,
    );
  }
  if (check.oldest_gateway > GATEWAY_LEVEL) {
    faults.push(`its schema serves gateways from level ${check.oldest_gateway} on, this one is ${GATEWAY_LEVEL}`);
  }
  if (!check.callable) faults.push('its procedure apply_part_4 is missing, or this account may not EXECUTE it');
  if (!check.clockRuns)
    faults.push('its server was started with --sysdate-is-now, so its clock stands still within a statement');
  if (check.foreign_tables !== null) faults.push(`not InnoDB: ${check.foreign_tables}`);
  faults.push(...check.settings.always);
  if (options.readOnlyAllowed !== true) faults.push(...check.settings.primary);
  if (!options.relaxedAllowed) faults.push(...check.settings.durable);
  if (faults.length > 0) throw new ShardRefused(faults.join('; '));
}
