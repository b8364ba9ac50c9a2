import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { LockHolder } from '../core/migration.ts';
import { SERVER_ERROR } from './failures.ts';

export const MIGRATION_TABLE = 'migration';
/** Where knex notes that a run is under way; a crash leaves it so. */
const LOCK_TABLE = 'migration_lock';
/** How long to wait for another migration. */
export const LOCK_WAIT_SECONDS = 10;
/** Between two looks at whether a connection that was ended still holds the lock. */
const LOOK_MS = 100;
/** Of a connection that this account may not see. */
const UNKNOWN = 'unknown';

/** What a connection of the driver is here. */
export interface RawConnection {
  destroy(): void;
  query(sql: string, done: (error: Error | null, rows?: unknown) => void): void;
}

/**
 * The lock of who migrates a schema. It belongs to a connection and ends with it, and it is the only one that the run has: whoever
 * holds the lock does the work, and who ends him ends the work. Its name holds for the whole server and has at most 64 characters, as
 * many as a schema's own name may have.
 */
export function lockOf(schema: string): string {
  return `stockgate:${createHash('sha1').update(schema).digest('hex')}`;
}

/** Takes a lock for a connection that was just opened. @param done told why it was not to be had */
export function takeLock(connection: RawConnection, lock: string, done: (error: Error | null) => void): void {
  connection.query(`SELECT GET_LOCK('${lock}', ${LOCK_WAIT_SECONDS}) AS taken`, (error, rows) => {
    const [row] = (rows ?? []) as { taken: number | null }[];
    if (error !== null || row?.taken === 1) done(error);
    else done(new Error('another migration of this shard is running; `npm run migrate -- unlock` says whose'));
  });
}

/** The connection that holds the lock, or null. */
export async function findHolder(database: Knex, lock: string): Promise<LockHolder | null> {
  const connection = await connectionWith(database, lock);
  if (connection === null) return null;
  const row = await sessionOf(database, connection);
  // Ended between the two questions, unless it belongs to an account whose connections are hidden from this one.
  if (row === undefined && (await connectionWith(database, lock)) !== connection) return null;
  const doing = [row?.Info, row?.State].find((text) => text !== undefined && text !== null && text !== '') ?? 'nothing';
  return { connection, from: row?.Host ?? UNKNOWN, user: row?.User ?? UNKNOWN, seconds: Number(row?.Time ?? 0), doing };
}

/** How the waiting for the end of a connection goes on. */
export interface Waiting {
  /** On the monotonic clock, in milliseconds. */
  readonly untilMs: number;
  /** Called every second while the server undoes what the connection did. @param seconds since it was ended */
  readonly onWait: (seconds: number) => void;
}

/**
 * Ends the connection that was found to hold the lock, and waits until the server has undone what it did. The number
 * alone does not
 * name a connection: servers use it again. So the statement that ends it asks once more who holds the lock, and does
 * nothing
 * when that is another one; and a connection of another client is not the one that was found.
 *
 * @returns `by_itself` when the connection no longer held the lock; nothing was ended then
 * @throws when it still has the lock at the end of the waiting
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
  for (let saidSeconds = 0; (await connectionWith(database, lock)) === connection;) {
    const seconds = Math.floor((performance.now() - endedMs) / 1_000);
    if (performance.now() >= untilMs) {
      const state = `connection ${connection} was ended, and the server has been undoing its work for ${seconds} s`;
      throw new Error(`${state}; run \`npm run migrate -- unlock\` again later`);
    }
    if (seconds > saidSeconds) onWait(seconds);
    saidSeconds = seconds;
    await pause(LOOK_MS);
  }
  return 'ended';
}

interface Session {
  readonly Id: number;
  readonly User: string;
  /** With the client's port, which no other connection of that host has at the same time. */
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

/** Takes away the mark of a run that died: for who holds the lock, and so knows that no other run is alive. @returns whether there was one */
export async function clearMark(database: Knex): Promise<boolean> {
  if (!(await database.schema.hasTable(LOCK_TABLE))) return false;
  return (await database(LOCK_TABLE).where('is_locked', '<>', 0).update({ is_locked: 0 })) > 0;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
