import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import knex from 'knex';
import type { Knex } from 'knex';
import type { EndOptions, LockReport, SchemaStatus, ShardMigrator } from '../core/migration.ts';
import type { ShardIndex } from '../core/nouns.ts';
import { HASH_VERSION, initialSlots } from '../core/slots.ts';
import { importTypeScript } from '../importTypeScript.ts';
import type { Address } from './connection.ts';
import { SERVER_ERROR } from './failures.ts';
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

/** A migration file: `0001_what_it_does.ts`. */
interface Migration extends Knex.Migration {
  /** The oldest gateway level that can still work with the schema afterwards. */
  readonly oldestGateway: number;
}

export interface MigratorOptions {
  readonly addresses: readonly Address[];
  readonly initialShards: number;
  /** The folder with the migrations. */
  readonly directory: string;
  /** Create schemas that do not exist yet (throw-away servers; elsewhere an administrator does it). */
  readonly createSchemas: boolean;
  /**
   * How long gateways that a migration shuts out are given to finish. Absent: they look at their shards every half
   * second, and what they have begun by then is over after three more.
   */
  readonly noticedMs?: number;
}

const CONNECT_MS = 5_000;
const TABLE_TRIES_MAX = 10;
const TABLE_PAUSE_MS = 1_000;
const NOTICED_MS = 8_000;
/** An idle connection is kept: the lock would go with it. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Migrations over knex, one shard at a time.
 *
 * knex guards a run with a row that a crash leaves locked. Here a named lock of the server is taken first, which ends
 * with its connection; whoever holds it knows that no other run is alive, and clears the row.
 */
export class KnexMigrator implements ShardMigrator {
  readonly #options: MigratorOptions;

  constructor(options: MigratorOptions) {
    this.#options = options;
  }

  status(shard: ShardIndex): Promise<SchemaStatus> {
    return this.#connected(shard, (database) => this.#statusOf(database));
  }

  async up(shard: ShardIndex): Promise<readonly string[]> {
    if (this.#options.createSchemas) await this.#createSchema(shard);
    return this.#locked(shard, async (database) => {
      const { pending } = await this.#statusOf(database);
      for (const name of pending) {
        await this.#announce(database, name);
        await this.#apply(database);
        await this.#note(database, levelOf(name));
      }
      await this.#settleShard(database, shard);
      return pending;
    });
  }

  async unlock(shard: ShardIndex, end: EndOptions | null): Promise<LockReport> {
    const lock = lockOf(this.#address(shard).schema);
    return this.#connected(shard, async (database) => {
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
        return { holder, ending, wasLeftLocked: await this.#locked(shard, clearMark), next: null };
      } catch (error) {
        // A run that came in between clears the mark itself.
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

  async #connected<T>(shard: ShardIndex, work: (database: Knex) => Promise<T>): Promise<T> {
    return connected(this.#address(shard), work);
  }

  /** Alone: no other run works on the shard meanwhile. */
  async #locked<T>(shard: ShardIndex, work: (database: Knex) => Promise<T>): Promise<T> {
    const address = this.#address(shard);
    return connected(address, work, lockOf(address.schema));
  }

  async #createSchema(shard: ShardIndex): Promise<void> {
    const { schema, ...server } = this.#address(shard);
    await connected({ ...server, schema: '' }, (database) =>
      database.raw('CREATE DATABASE IF NOT EXISTS ??', [schema]),
    );
  }

  async #statusOf(database: Knex): Promise<SchemaStatus> {
    const names = migrationNames(this.#options.directory);
    const applied = (await database.schema.hasTable(MIGRATION_TABLE))
      ? (await database(MIGRATION_TABLE).select<{ name: string }[]>('name').orderBy('id')).map(({ name }) => name)
      : [];
    return {
      applied,
      pending: names.filter((name) => !applied.includes(name)),
      foreign: applied.filter((name) => !names.includes(name)),
      slot_count: await slotCount(database),
    };
  }

  /** Tells gateways that are too old for what comes, before it comes, and lets them finish. */
  async #announce(database: Knex, name: string): Promise<void> {
    if (!(await database.schema.hasTable('shard'))) return;
    const oldest = await this.#oldestGateway([name]);
    await database('shard').where('oldest_gateway', '<', oldest).update({ oldest_gateway: oldest });
    // Asked of the level: a run that was ended while it waited is not to be taken for one that did.
    const older = await database('shard').where('schema_level', '<', oldest).first<object | undefined>('shard_index');
    if (older !== undefined) await pause(this.#options.noticedMs ?? NOTICED_MS);
  }

  async #oldestGateway(names: readonly string[]): Promise<number> {
    const migrations = await Promise.all(names.map((name) => load(this.#options.directory, name)));
    return Math.max(0, ...migrations.map(({ oldestGateway }) => oldestGateway));
  }

  /** Applies the next migration; its steps can be repeated. */
  async #apply(database: Knex): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await database.migrate.forceFreeMigrationsLock({ tableName: MIGRATION_TABLE });
        await database.migrate.up({
          tableName: MIGRATION_TABLE,
          migrationSource: source(this.#options.directory),
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

  async #note(database: Knex | Knex.Transaction, level: number): Promise<boolean> {
    return (await database('shard').update({ schema_level: database.raw('GREATEST(schema_level, ?)', [level]) })) > 0;
  }

  /** Writes down the level reached; on a new shard also who it is and which slots it owns. */
  async #settleShard(database: Knex, shard: ShardIndex): Promise<void> {
    const { initialShards, directory } = this.#options;
    const names = migrationNames(directory);
    const level = Math.max(...names.map(levelOf));
    const oldest = await this.#oldestGateway(names);
    await database.transaction(async (transaction) => {
      if (await this.#note(transaction, level)) return;
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

/** @param lock held by the connection before anything is done; null: none */
async function connected<T>(
  address: Address,
  work: (database: Knex) => Promise<T>,
  lock: string | null = null,
): Promise<T> {
  const { host, port, user, password, schema } = address;
  let isTaken = false;
  /** A connection that took the place of the one with the lock would go on with what others may have changed meanwhile. */
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
    // What goes wrong is thrown, and told in the shard's row; printed besides, it would tear the progress line.
    log: { debug: ignore, warn: ignore, error: ignore, deprecate: ignore },
    pool: {
      min: 0,
      // One, so that whatever is done is done by who has the lock.
      max: 1,
      idleTimeoutMillis: NEVER_MS,
      afterCreate: (connection: RawConnection, done: (error: Error | null, connection: unknown) => void) =>
        prepare(connection, (refusal) => {
          // knex keeps nothing of a connection that it was refused.
          if (refusal !== null) connection.destroy();
          done(refusal, connection);
        }),
    },
  });
  try {
    return await work(database);
  } catch (error) {
    // knex puts the whole statement before what the server said of it.
    const { sqlMessage } = error as { sqlMessage?: string };
    throw sqlMessage === undefined ? error : new Error(sqlMessage, { cause: error });
  } finally {
    await database.destroy();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ignore(): void {
  // Nothing is printed.
}

async function slotCount(database: Knex): Promise<number | null> {
  if (!(await database.schema.hasTable('shard')) || !(await database.schema.hasTable('slot'))) return null;
  const [shard] = await database('shard').select<{ shard_index: number }[]>('shard_index');
  if (shard === undefined) return null;
  const [count] = await database('slot').count<{ slots: number }[]>({ slots: '*' });
  return Number(count?.slots ?? 0);
}

/** The files of all migrations by their names, in their order. In a build they are compiled, and keep their names. */
function migrationFiles(directory: string): ReadonlyMap<string, string> {
  const files = readdirSync(directory).sort();
  return new Map(
    files.flatMap((file) =>
      /^\d{4}_\w+\.(ts|mjs)$/.test(file)
        ? [[file.slice(0, file.lastIndexOf('.')), join(directory, file)] as const]
        : [],
    ),
  );
}

function migrationNames(directory: string): string[] {
  return [...migrationFiles(directory).keys()];
}

/** `0003_what_it_does` brings a schema to level 3. */
function levelOf(name: string): number {
  return Number.parseInt(name, 10);
}

async function load(directory: string, name: string): Promise<Migration> {
  const file = migrationFiles(directory).get(name);
  if (file === undefined) throw new Error(`there is no migration ${name} in ${directory}`);
  return (await importTypeScript(file)) as Migration;
}

function source(directory: string): Knex.MigrationSource<string> {
  return {
    getMigrations: () => Promise.resolve(migrationNames(directory)),
    getMigrationName: (name) => name,
    getMigration: (name) => load(directory, name),
  };
}
