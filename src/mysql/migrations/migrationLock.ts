import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { LockHolder } from '../../core/ports/shardMigrator.ts';
import { SERVER_ERROR } from '../connection/failures.ts';
import { pause } from '../../core/async/pause.ts';

export const MIGRATION_TABLE = 'migration';
/** The table in which knex marks a run. After a crash the mark stays. */
const LOCK_TABLE = 'migration_lock';
/** How long to wait for another migration. */
export const LOCK_WAIT_SECONDS = 10;
/** The pause between two checks whether a killed connection still holds the lock. */
const CHECK_PAUSE_MS = 100;
/** The value shown for a connection that this account may not see. */
const UNKNOWN = 'unknown';

/** The methods of a driver's connection that are used here. */
export interface RawConnection {
  destroy(): void;
  query(sql: string, done: (error: Error | null, rows?: unknown) => void): void;
}

/**
 * The name of the lock under which a schema is migrated. The lock belongs to a connection and ends with it. A run has
 * no other connection, so only the connection with the lock does the work, and killing it ends the work. Lock names are
 * shared by the whole server and have at most 64 characters. A schema's own name may have as many, so it is hashed.
 */
export function lockOf(schema: string): string {
  return `stockgate:${createHash('sha1').update(schema).digest('hex')}`;
}

/** Takes a lock for a connection that was just opened. @param done receives the error when the lock was not granted */
export function takeLock(connection: RawConnection, lock: string, done: (error: Error | null) => void): void {
  connection.query(`SELECT GET_LOCK('${lock}', ${LOCK_WAIT_SECONDS}) AS taken`, (error, rows) => {
    const [row] = (rows ?? []) as { taken: number | null }[];
    if (error !== null || row?.taken === 1) done(error);
    else done(new Error('another migration of this shard is running; `npm run migrate -- unlock` shows which'));
  });
}

/** The connection that holds the lock, or null. */
export async function findHolder(database: Knex, lock: string): Promise<LockHolder | null> {
  const connection = await connectionWith(database, lock);
  if (connection === null) return null;
  const row = await sessionOf(database, connection);
  // It ended between the two questions, unless it belongs to an account whose connections are hidden from this one.
  if (row === undefined && (await connectionWith(database, lock)) !== connection) return null;
  const doing = [row?.Info, row?.State].find((text) => text !== undefined && text !== null && text !== '') ?? 'nothing';
  return { connection, from: row?.Host ?? UNKNOWN, user: row?.User ?? UNKNOWN, seconds: Number(row?.Time ?? 0), doing };
}

/** How long to wait for the end of a connection, and a callback for the wait. */
export interface Waiting {
  /** On the monotonic clock, in milliseconds. */
  readonly untilMs: number;
  /** Called every second while the server rolls back the connection's work. @param seconds since it was killed */
  readonly onWait: (seconds: number) => void;
}

/**
 * Kills the connection that was found to hold the lock, and waits until the server has rolled back its work. A number
 * alone does not identify a connection, because servers use numbers again. So the KILL statement checks again which
 * connection holds the lock, and does nothing if it is another one. If the number now belongs to another client,
 * nothing is killed either.
 *
 * @returns `by_itself` when the connection no longer held the lock; then nothing was killed
 * @throws Error when it still has the lock at `untilMs`
 */
export async function endHolder(
  database: Knex,
  lock: string,
  holder: LockHolder,
  { untilMs, onWait }: Waiting,
): Promise<'ended' | 'by_itself'> {
  const { connection, from, user } = holder;
  const row = await sessionOf(database, connection);
  if ((row?.Host ?? UNKNOWN) !== from || (row?.User ?? UNKNOWN) !== user) return 'by_itself';
  try {
    await database.raw('KILL IF(IS_USED_LOCK(?) = ?, ?, 0)', [lock, connection, connection]);
  } catch (error) {
    if ((error as { errno?: number }).errno === SERVER_ERROR.noSuchConnection) return 'by_itself';
    throw error;
  }
  const endedMs = performance.now();
  for (let reportedSeconds = 0; (await connectionWith(database, lock)) === connection;) {
    const seconds = Math.floor((performance.now() - endedMs) / 1_000);
    if (performance.now() >= untilMs) {
      const state = `connection ${connection} was ended, and the server has been undoing its work for ${seconds} s`;
      throw new Error(`${state}; run \`npm run migrate -- unlock\` again later`);
    }
    if (seconds > reportedSeconds) onWait(seconds);
    reportedSeconds = seconds;
    await pause(CHECK_PAUSE_MS);
  }
  return 'ended';
}

interface Session {
  readonly Id: number;
  readonly User: string;
  /** Includes the client's port, which no other connection of that host has at the same time. */
  readonly Host: string;
  readonly Time: number;
  readonly State: string | null;
  readonly Info: string | null;
}

async function sessionOf(database: Knex, connection: number): Promise<Session | undefined> {
  const [rows] = (await database.raw('SHOW FULL PROCESSLIST')) as [Session[]];
  return rows.find(({ Id }) => Number(Id) === connection);
}

async function connectionWith(database: Knex, lock: string): Promise<number | null> {
  const [[used]] = (await database.raw('SELECT IS_USED_LOCK(?) AS connection', [lock])) as [
    [{ connection: number | null } | undefined],
  ];
  const connection = Number(used?.connection ?? 0);
  return connection === 0 ? null : connection;
}

/**
 * Removes the mark of a crashed run. The caller must hold the lock, which proves that no other run is alive.
 *
 * @returns whether there was a mark
 */
export async function clearMark(database: Knex): Promise<boolean> {
  if (!(await database.schema.hasTable(LOCK_TABLE))) return false;
  return (await database(LOCK_TABLE).where('is_locked', '<>', 0).update({ is_locked: 0 })) > 0;
}
