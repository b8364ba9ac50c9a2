import knex from 'knex';
import type { Knex } from 'knex';
import type {
  EndOptions,
  LockReport,
  SchemaStatus,
  ShardMigrator,
  WaitingMigration,
} from '../../core/ports/shardMigrator.ts';
import type { ShardIndex } from '../../core/types.ts';
import { HASH_VERSION, initialSlots } from '../../core/slots.ts';
import type { Address } from '../connection/connection.ts';
import { SERVER_ERROR } from '../connection/failures.ts';
import { levelOf, loadMigration, migrationNames, migrationSource } from './migrationFiles.ts';
import {
  clearMark,
  endHolder,
  findHolder,
  LOCK_WAIT_SECONDS,
  lockOf,
  MIGRATION_TABLE,
  takeLock,
} from './migrationLock.ts';
import { prepareMigration } from './migrationSession.ts';
import type { RawConnection } from './migrationLock.ts';
import { pause } from '../../core/async/pause.ts';

export interface MigratorOptions {
  readonly addresses: readonly Address[];
  readonly initialShards: number;
  /** The folder with the migrations. */
  readonly directory: string;
  /** Create schemas that do not exist yet (throw-away servers; elsewhere an administrator does it). */
  readonly createSchemas: boolean;
  /**
   * The time for gateways that a migration shuts out to finish their work. If absent, 8 s: they inspect their shards
   * every half second, and work that they have begun until then ends within three more seconds.
   */
  readonly noticedMs?: number;
}

const CONNECT_MS = 5_000;
const TABLE_TRIES_MAX = 10;
const TABLE_PAUSE_MS = 1_000;
const NOTICED_MS = 8_000;
/** Idle connections stay open: the lock would end with its connection. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Migrations over knex, one shard at a time.
 *
 * knex guards a run with a row that a crash leaves locked. So a named lock of the server is taken first, which ends
 * with its connection. A run that holds it is the only run alive, so it clears the row.
 */
export class KnexMigrator implements ShardMigrator {
  readonly #options: MigratorOptions;

  constructor(options: MigratorOptions) {
    this.#options = options;
  }

  status(shard: ShardIndex): Promise<SchemaStatus> {
    return this.#withConnection(shard, (database) => this.#statusOf(database));
  }

  async up(shard: ShardIndex, shutsOutOlder: boolean): Promise<readonly string[]> {
    if (this.#options.createSchemas) await this.#createSchema(shard);
    return this.#withLock(shard, async (database) => {
      const { pending, waiting } = await this.#statusOf(database);
      const names = shutsOutOlder ? [...pending, ...waiting.map(({ name }) => name)] : pending;
      for (const name of names) {
        await this.#announce(database, name);
        await this.#apply(database);
        await this.#raiseLevel(database, levelOf(name));
      }
      await this.#registerShard(database, shard);
      return names;
    });
  }

  async unlock(shard: ShardIndex, end: EndOptions | null): Promise<LockReport> {
    const lock = lockOf(this.#address(shard).schema);
    return this.#withConnection(shard, async (database) => {
      const holder = await findHolder(database, lock);
      if (holder !== null && end === null) return { holder, ending: 'left', wasLeftLocked: false, next: null };
      const ending =
        holder === null || end === null
          ? 'left'
          : await endHolder(database, lock, holder, {
              untilMs: performance.now() + end.waitMs,
              onWait: (seconds) => end.onWait(holder, seconds),
            });
      const next = await findHolder(database, lock);
      if (next !== null) return { holder, ending, wasLeftLocked: false, next };
      try {
        return { holder, ending, wasLeftLocked: await this.#withLock(shard, clearMark), next: null };
      } catch (error) {
        // A run that started between the two clears the mark itself.
        const other = await findHolder(database, lock);
        if (other === null) throw error;
        return { holder, ending, wasLeftLocked: false, next: other };
      }
    });
  }

  #address(shard: ShardIndex): Address {
    const address = this.#options.addresses[shard];
    if (address === undefined) throw new RangeError(`there is no shard ${shard}`);
    return address;
  }

  async #withConnection<T>(shard: ShardIndex, work: (database: Knex) => Promise<T>): Promise<T> {
    return withConnection(this.#address(shard), work);
  }

  /** Runs the work while no other run works on the shard. */
  async #withLock<T>(shard: ShardIndex, work: (database: Knex) => Promise<T>): Promise<T> {
    const address = this.#address(shard);
    return withConnection(address, work, lockOf(address.schema));
  }

  async #createSchema(shard: ShardIndex): Promise<void> {
    const { schema, ...server } = this.#address(shard);
    await withConnection({ ...server, schema: '' }, (database) =>
      database.raw('CREATE DATABASE IF NOT EXISTS ??', [schema]),
    );
  }

  async #statusOf(database: Knex): Promise<SchemaStatus> {
    const names = migrationNames(this.#options.directory);
    const applied = await appliedNames(database);
    const missing = names.filter((name) => !applied.includes(name));
    const slot_count = await slotCount(database);
    // No gateway has served a shard without slots, so there is none to wait for.
    const waiting = slot_count === null ? [] : await this.#waiting(missing);
    return {
      applied,
      pending: missing.slice(0, missing.length - waiting.length),
      waiting,
      foreign: applied.filter((name) => !names.includes(name)),
      slot_count,
    };
  }

  /** The first of these migrations that shuts out gateways of the version before, and all after it. */
  async #waiting(names: readonly string[]): Promise<WaitingMigration[]> {
    const { directory } = this.#options;
    const migrations = await Promise.all(
      names.map(async (name) => ({ name, ...(await loadMigration(directory, name)) })),
    );
    const first = migrations.findIndex(({ shutsOutVersionBefore }) => shutsOutVersionBefore === true);
    return first < 0 ? [] : migrations.slice(first).map(({ name, oldestGateway }) => ({ name, oldestGateway }));
  }

  /** Shuts out gateways that are too old for a migration before it runs, and waits until they have finished. */
  async #announce(database: Knex, name: string): Promise<void> {
    if (!(await database.schema.hasTable('shard'))) return;
    if ((await database('shard').first<object | undefined>('shard_index')) === undefined) return;
    const oldest = await this.#oldestGateway([name]);
    await database('shard').where('oldest_gateway', '<', oldest).update({ oldest_gateway: oldest });
    // Only an applied migration shows that a run has waited: one that was ended before has raised `oldest_gateway` too.
    if ((await this.#oldestGateway(await this.#knownNames(database))) < oldest)
      await pause(this.#options.noticedMs ?? NOTICED_MS);
  }

  /** The applied migrations that this checkout has. */
  async #knownNames(database: Knex): Promise<string[]> {
    const names = migrationNames(this.#options.directory);
    return (await appliedNames(database)).filter((name) => names.includes(name));
  }

  async #oldestGateway(names: readonly string[]): Promise<number> {
    const migrations = await Promise.all(names.map((name) => loadMigration(this.#options.directory, name)));
    return Math.max(0, ...migrations.map(({ oldestGateway }) => oldestGateway));
  }

  /** Applies the next migration, whose steps can be repeated. */
  async #apply(database: Knex): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await database.migrate.forceFreeMigrationsLock({ tableName: MIGRATION_TABLE });
        await database.migrate.up({
          tableName: MIGRATION_TABLE,
          migrationSource: migrationSource(this.#options.directory),
          disableTransactions: true,
        });
        return;
      } catch (error) {
        if ((error as { errno?: number }).errno !== SERVER_ERROR.lockWaitTimeout || tries >= TABLE_TRIES_MAX)
          throw error;
        await pause(TABLE_PAUSE_MS);
      }
    }
  }

  async #raiseLevel(database: Knex | Knex.Transaction, level: number): Promise<boolean> {
    return (await database('shard').update({ schema_level: database.raw('GREATEST(schema_level, ?)', [level]) })) > 0;
  }

  /** Stores the level that was reached; on a new shard also its index and the slots that it owns. */
  async #registerShard(database: Knex, shard: ShardIndex): Promise<void> {
    const { initialShards } = this.#options;
    // Those that wait do not count.
    const names = await this.#knownNames(database);
    const level = Math.max(0, ...names.map(levelOf));
    const oldest = await this.#oldestGateway(names);
    await database.transaction(async (transaction) => {
      if (await this.#raiseLevel(transaction, level)) return;
      await transaction('shard').insert({
        shard_index: shard,
        initial_shards: initialShards,
        hash_version: HASH_VERSION,
        schema_level: level,
        oldest_gateway: oldest,
      });
      const slots = initialSlots(shard, initialShards).map((slot) => ({ slot, epoch: 1 }));
      if (slots.length > 0) await transaction('slot').insert(slots);
    });
  }
}

/** @param lock taken by the connection before any work; null: none */
async function withConnection<T>(
  address: Address,
  work: (database: Knex) => Promise<T>,
  lock: string | null = null,
): Promise<T> {
  const { host, port, user, password, schema } = address;
  let isTaken = false;
  /** A replacement for the connection with the lock is refused: others may have changed the schema in between. */
  const prepare = (connection: RawConnection, ready: (refusal: Error | null) => void): void =>
    prepareMigration(connection, (error) => {
      if (error !== null || lock === null) ready(error);
      else if (isTaken) ready(new Error('the connection that held the lock is gone; nothing more is done'));
      else {
        takeLock(connection, lock, (refusal) => {
          isTaken = refusal === null;
          ready(refusal);
        });
      }
    });
  const database = knex({
    client: 'mysql2',
    connection: {
      host,
      port,
      user,
      password,
      ...(schema === '' ? {} : { database: schema }),
      connectTimeout: CONNECT_MS,
      charset: 'utf8mb4',
      timezone: 'Z',
    },
    acquireConnectionTimeout: CONNECT_MS + (lock === null ? 0 : LOCK_WAIT_SECONDS * 1_000),
    // Errors are thrown and shown in the shard's row. If knex printed them too, it would break the progress line.
    log: { debug: ignore, warn: ignore, error: ignore, deprecate: ignore },
    pool: {
      min: 0,
      // One connection, so that all work is done on the one with the lock.
      max: 1,
      idleTimeoutMillis: NEVER_MS,
      afterCreate: (connection: RawConnection, done: (error: Error | null, connection: unknown) => void) =>
        prepare(connection, (refusal) => {
          // knex drops a refused connection without closing it.
          if (refusal !== null) connection.destroy();
          done(refusal, connection);
        }),
    },
  });
  try {
    return await work(database);
  } catch (error) {
    // knex puts the whole statement before the server's message.
    const { sqlMessage } = error as { sqlMessage?: string };
    throw sqlMessage === undefined ? error : new Error(sqlMessage, { cause: error });
  } finally {
    await database.destroy();
  }
}

function ignore(): void {
  // Nothing is printed.
}

/** In the order in which they were applied. */
async function appliedNames(database: Knex): Promise<string[]> {
  if (!(await database.schema.hasTable(MIGRATION_TABLE))) return [];
  const rows = await database(MIGRATION_TABLE).select<{ name: string }[]>('name').orderBy('id');
  return rows.map(({ name }) => name);
}

async function slotCount(database: Knex): Promise<number | null> {
  if (!(await database.schema.hasTable('shard')) || !(await database.schema.hasTable('slot'))) return null;
  const [shard] = await database('shard').select<{ shard_index: number }[]>('shard_index');
  if (shard === undefined) return null;
  const [count] = await database('slot').count<{ slots: number }[]>({ slots: '*' });
  return Number(count?.slots ?? 0);
}
