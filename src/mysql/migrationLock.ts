import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { LockHolder, LockReport } from '../core/migration.ts';

export const MIGRATION_TABLE = 'migration';
/** Where knex notes that a run is under way; a crash leaves it so. */
const LOCK_TABLE = 'migration_lock';
/** How long to wait for another migration. */
const LOCK_WAIT_SECONDS = 10;

/** The name holds for the whole server and has at most 64 characters, as many as a schema's own name may have. */
function lockOf(schema: string): string {
  return `stockgate:${createHash('sha1').update(schema).digest('hex')}`;
}

/** Runs some work while holding a lock that belongs to this schema and dies with its connection. */
export async function withNamedLock<T>(database: Knex, schema: string, work: () => Promise<T>): Promise<T> {
  const lock = lockOf(schema);
  const client = database.client as Knex.Client;
  const connection: unknown = await client.acquireConnection();
  try {
    const [rows] = (await database.raw('SELECT GET_LOCK(?, ?) AS taken', [lock, LOCK_WAIT_SECONDS]).connection(connection)) as [
      { taken: number | null }[],
    ];
    if (rows[0]?.taken !== 1) throw new Error('another migration of this shard is running; `npm run migrate -- unlock` says whose');
    const result = await work();
    await database.raw('DO RELEASE_LOCK(?)', [lock]).connection(connection);
    return result;
  } finally {
    await client.releaseConnection(connection);
  }
}

/** Takes away what a run that died has left. @param endsHolder end the connection of one that lives, first */
export async function unlock(database: Knex, schema: string, endsHolder: boolean): Promise<LockReport> {
  const holder = await holderOf(database, schema);
  if (holder !== null && !endsHolder) return { holder, isEnded: false, wasLeftLocked: false };
  if (holder !== null) await database.raw('KILL ?', [holder.connection]);
  // Whoever has the named lock knows that no other run is alive.
  const wasLeftLocked = await withNamedLock(database, schema, async () => {
    if (!(await database.schema.hasTable(LOCK_TABLE))) return false;
    return (await database(LOCK_TABLE).where('is_locked', '<>', 0).update({ is_locked: 0 })) > 0;
  });
  return { holder, isEnded: holder !== null, wasLeftLocked };
}

async function holderOf(database: Knex, schema: string): Promise<LockHolder | null> {
  const [[used]] = (await database.raw('SELECT IS_USED_LOCK(?) AS connection', [lockOf(schema)])) as [[{ connection: number | null } | undefined]];
  const connection = Number(used?.connection ?? 0);
  if (connection === 0) return null;
  const [rows] = (await database.raw('SHOW FULL PROCESSLIST')) as [{ Id: number; User: string; Host: string; Time: number; State: string | null; Info: string | null }[]];
  const row = rows.find(({ Id }) => Number(Id) === connection);
  // It has ended between the two questions.
  if (row === undefined) return null;
  return { connection, from: row.Host, user: row.User, seconds: Number(row.Time), doing: [row.Info, row.State].find((text) => text !== null && text !== '') ?? 'nothing' };
}
