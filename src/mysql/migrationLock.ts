import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { LockHolder } from '../core/migration.ts';

export const MIGRATION_TABLE = 'migration';
/** Where knex notes that a run is under way; a crash leaves it so. */
const LOCK_TABLE = 'migration_lock';
/** How long to wait for another migration. */
export const LOCK_WAIT_SECONDS = 10;

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

/** Who holds the lock, or null. @param isToEnd end his connection */
export async function findHolder(database: Knex, lock: string, isToEnd: boolean): Promise<LockHolder | null> {
  const connection = await connectionWith(database, lock);
  if (connection === null) return null;
  const [rows] = (await database.raw('SHOW FULL PROCESSLIST')) as [{ Id: number; User: string; Host: string; Time: number; State: string | null; Info: string | null }[]];
  const row = rows.find(({ Id }) => Number(Id) === connection);
  // Ended between the two questions, unless it is somebody's whose connections we may not see.
  if (row === undefined && (await connectionWith(database, lock)) !== connection) return null;
  if (isToEnd) await database.raw('KILL ?', [connection]);
  const doing = [row?.Info, row?.State].find((text) => text !== undefined && text !== null && text !== '') ?? 'nothing';
  return { connection, from: row?.Host ?? 'unknown', user: row?.User ?? 'unknown', seconds: Number(row?.Time ?? 0), doing };
}

async function connectionWith(database: Knex, lock: string): Promise<number | null> {
  const [[used]] = (await database.raw('SELECT IS_USED_LOCK(?) AS connection', [lock])) as [[{ connection: number | null } | undefined]];
  const connection = Number(used?.connection ?? 0);
  return connection === 0 ? null : connection;
}

/** Takes away the mark of a run that died: for who holds the lock, and so knows that no other run is alive. @returns whether there was one */
export async function clearMark(database: Knex): Promise<boolean> {
  if (!(await database.schema.hasTable(LOCK_TABLE))) return false;
  return (await database(LOCK_TABLE).where('is_locked', '<>', 0).update({ is_locked: 0 })) > 0;
}
