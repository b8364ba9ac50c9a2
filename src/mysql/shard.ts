import { Breaker } from '../core/breaker.ts';
import type { BreakerOptions } from '../core/breaker.ts';
import type { KnownWatermarks } from '../core/restore/watermarks.ts';
import type { DeadlineMs, ShardIndex } from '../core/types.ts';
import type { ShardState } from '../core/ports/shardOverview.ts';
import { HASH_VERSION } from '../core/slots.ts';
import { ShardClock } from './batching/shardClock.ts';
import { Connection } from './connection/connection.ts';
import type { Address } from './connection/connection.ts';
import { ConnectionLost, SERVER_ERROR, ServerError, ShardRefused, Unavailable } from './connection/failures.ts';
import { Gate } from './connection/lockGate.ts';
import { WatermarkKeeper } from './restore/watermarkKeeper.ts';
import { ConnectionPool } from './connection/pool.ts';
import { RetryBudget } from './connection/retryBudget.ts';
import { GATEWAY_LEVEL } from './migrations/schemaLevel.ts';
import { checkShard } from './sql/session/checkShard.ts';
import type { ShardCheck } from './sql/session/checkShard.ts';
import { readOrTurnOn } from './sql/stock/precheck.ts';
import type { PrecheckState } from './sql/stock/precheck.ts';
import { prepareSession } from './sql/session/prepareSession.ts';
import { AdmissionBound } from './connection/admissionBound.ts';
import { errorText } from '../core/text/errorText.ts';

export interface ShardOptions {
  readonly shard: ShardIndex;
  readonly name: string;
  readonly address: Address;
  readonly initialShards: number;
  readonly connections_max: number;
  readonly waiting_max: number;
  readonly statementMs: number;
  /**
   * The longest wait for a connection. Until it is fit for use, twice as long may pass. If absent, as for an answer.
   */
  readonly connectMs?: number;
  /** Serve a shard whose commits may be lost with the power; answers then state it. */
  readonly relaxedAllowed: boolean;
  /**
   * Also read a server that accepts no writes, such as one that is not in use: its data may be old. Gateways never do.
   */
  readonly readOnlyAllowed?: boolean;
  /** The pre-check is on: units that enter an empty row are to be sold only after the restock delay. */
  readonly isPrechecked?: boolean;
  /**
   * The watermarks of all shards: a shard whose watermark went back is not served. If absent, it is not checked, as in
   * commands that repair such a shard.
   */
  readonly watermarks?: KnownWatermarks;
  /** Receives the reason when the watermark of the shard could not be raised. */
  readonly onWatermarkFailure?: (reason: string) => void;
  /** Called whenever the shard's state or its reason changes. */
  readonly onChange: (state: ShardState) => void;
  /** Called with programming errors that no caller waits for. */
  readonly onFault?: (error: unknown) => void;
}

/** Well below the two seconds after which the server ends a silent session of ours. */
const SILENT_MS = 1_000;
const UNUSED_MS = 30_000;
/**
 * The restock delay of a shard may have been turned off when the shard could not be inspected for this long. Then
 * nothing is refused early on it. Far below the time that `turnOffDelay` waits (NOTICED_SECONDS in `sql/precheck.ts`),
 * far above the pause between two inspections.
 */
const PRECHECK_KEPT_MS = 10_000;
/** In a small pool no more calls can fail at a time than it has connections. */
const breakerOptions = (connections_max: number): BreakerOptions => ({
  windowMs: 1_000,
  failuresMin: Math.min(5, connections_max),
  successShareMin: 0.1,
});

/**
 * One shard: its pool and its gates, and whether it may be served. Every connection is checked before its first use.
 */
export class Shard {
  readonly pool: ConnectionPool;
  /** One transaction at a time per flow key. */
  readonly flowGate: Gate;
  /** At most half of the connections at a time for one SKU, so that a locked row leaves the others free. */
  readonly skuGate: Gate;
  /** Resolves once a first connection was opened or failed. */
  readonly tried: Promise<void>;
  readonly retryBudget = new RetryBudget();
  readonly clock = new ShardClock();
  /** Operations that wait for a batch. */
  readonly batchAdmission: AdmissionBound;
  readonly #breaker: Breaker;
  readonly #connectMs: number;
  readonly #watermarkKeeper: WatermarkKeeper | null;
  readonly #options: ShardOptions;
  #precheck: PrecheckState = { isReady: false, secret: null };
  /** When the shard was asked for it. */
  #precheckedMs = -Infinity;
  #state: ShardState['state'] = 'untried';
  #reason: string | null = null;
  #check: ShardCheck | null = null;
  #onTried: () => void = () => undefined;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#connectMs = options.connectMs ?? options.statementMs;
    this.#watermarkKeeper =
      options.watermarks === undefined
        ? null
        : new WatermarkKeeper(options.watermarks, options.shard, (reason) => options.onWatermarkFailure?.(reason));
    this.tried = new Promise((resolve) => (this.#onTried = resolve));
    const room = new AdmissionBound(options.waiting_max);
    this.batchAdmission = new AdmissionBound(options.waiting_max);
    this.flowGate = new Gate(1, room);
    this.skuGate = new Gate(Math.ceil(options.connections_max / 2), room);
    this.#breaker = new Breaker(breakerOptions(options.connections_max));
    this.pool = new ConnectionPool({
      breaker: this.#breaker,
      connections_max: options.connections_max,
      admission: room,
      open: (deadlineMs) => this.#open(deadlineMs),
      inspect: (connection, deadlineMs) => this.#inspect(connection, deadlineMs),
      maintain: (connection, deadlineMs) => this.#raiseWatermark(connection, deadlineMs),
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

  /** Names the server and the account: shards with the same name may share a transaction. */
  get server(): string {
    const { host, port, user, password } = this.#options.address;
    return JSON.stringify([host, port, user, password]);
  }

  /** Whether the shard was fit for use and answering when it was last seen. */
  get isServing(): boolean {
    return this.#state === 'serving' && !this.#breaker.isOpen;
  }

  /** The pre-check state of the last inspection; not ready when that was too long ago. */
  get precheck(): PrecheckState {
    if (!this.#precheck.isReady || performance.now() < this.#precheckedMs + PRECHECK_KEPT_MS) return this.#precheck;
    return { isReady: false, secret: this.#precheck.secret };
  }

  /** False when commits may be lost with the power; null while that was not read. */
  get durable(): boolean | null {
    return this.#check === null ? null : this.#check.settings.durable.length === 0;
  }

  /** Whether a migration was applied and its gateways shut out, when the shard was last inspected. */
  isAtLevel(level: number): boolean {
    return this.#check !== null && this.#check.schema_level >= level;
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
      pool: { ...pool, waiting: pool.waiting + this.batchAdmission.count },
    };
  }

  /**
   * Whether anything answers at the server's address, even with an error. A server without free connections is up, and
   * one that is down closes its connections. The question has a connection of its own, so that no other call delays it.
   */
  async answers(): Promise<boolean> {
    try {
      const connection = await Connection.open(this.#options.address, this.#connectMs);
      connection.destroy();
      return true;
    } catch (error) {
      return !(error instanceof ConnectionLost && error.timedOut);
    }
  }

  /** Inspects the shard again after the others were read: they may store a higher watermark of it than it shows. */
  async inspectAgain(): Promise<void> {
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
      if (error instanceof ShardRefused) this.#setState('refused', error.message);
      // If other connections work, a failure to open one more does not mean that the shard is unreachable.
      else if (this.pool.state().open === 0) this.#setState('unreachable', errorText(error));
      throw error;
    }
  }

  /** Stores what the shard reports. @throws ShardRefused when it must not be served as it is */
  async #inspect(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    try {
      const askedMs = performance.now();
      const check = await checkShard(connection, deadlineMs);
      assertFit(check, this.#options);
      this.#check = check;
      this.clock.storeReading(check.epoch_ms, askedMs);
      await this.#watermarkKeeper?.check(connection, deadlineMs);
      if (this.#options.isPrechecked === true) await this.#readPrecheck(connection, deadlineMs);
      this.#setState('serving', null);
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal === null) throw error;
      this.#setState('refused', refusal.message);
      throw refusal;
    }
  }

  async #readPrecheck(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const askedMs = performance.now();
    this.#precheck = await orNotReady(readOrTurnOn(connection, deadlineMs));
    this.#precheckedMs = askedMs;
    // A write that the server rejected has closed the connection, and a lost connection must not be offered.
    if (connection.isLost) throw new Unavailable('the pre-check of the shard could not be read');
  }

  async #raiseWatermark(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    if (this.#check !== null) await this.#watermarkKeeper?.raise(connection, this.#check.epoch_ms, deadlineMs);
  }

  #setState(state: ShardState['state'], reason: string | null): void {
    const changed = state !== this.#state || reason !== this.#reason;
    this.#state = state;
    this.#reason = reason;
    this.#onTried();
    if (changed) this.#options.onChange(this.state());
  }
}

/** Serves without a pre-check if the server accepts no writes now, or if the account may not turn the pre-check on. */
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

/** @throws ShardRefused with the reasons, if this gateway must not write to the shard */
function assertFit(check: ShardCheck, options: ShardOptions): void {
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
  if (!check.callable) faults.push('its procedure apply_part_6 is missing, or this account may not EXECUTE it');
  if (!check.clockRuns)
    faults.push('its server was started with --sysdate-is-now, so its clock stands still within a statement');
  if (check.foreign_tables !== null) faults.push(`not InnoDB: ${check.foreign_tables}`);
  faults.push(...check.settings.always);
  if (options.readOnlyAllowed !== true) faults.push(...check.settings.primary);
  if (!options.relaxedAllowed) faults.push(...check.settings.durable);
  if (faults.length > 0) throw new ShardRefused(faults.join('; '));
}
