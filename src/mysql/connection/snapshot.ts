import type { DeadlineMs } from '../../core/types.ts';
import type { Connection } from './connection.ts';
import { setAccess, SNAPSHOT, WRITER } from '../sql/session/prepareSession.ts';
import type { Transaction } from './transaction.ts';

/** Runs statements that all read the same moment. */
export type Snapshot = Pick<Transaction, 'rows'>;

/**
 * Runs several reads in one consistent snapshot: commits made meanwhile are in none of them. No lock is taken.
 *
 * @param waitMs the longest wait for the answer to one read; if absent, as for any statement
 * @throws when the shard cannot be read; the connection must then not be used again
 */
export async function inSnapshot<T>(
  connection: Connection,
  deadlineMs: DeadlineMs,
  read: (snapshot: Snapshot) => Promise<T>,
  waitMs?: number,
): Promise<T> {
  // At READ COMMITTED every statement has a snapshot of its own. The level of one transaction cannot be read back: only
  // MySQL warns of a snapshot that it ignores. So the level of the session is changed, and changed back.
  await setAccess(connection, SNAPSHOT, deadlineMs);
  await connection.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', [], deadlineMs);
  const answer = await read({ rows: (sql, values) => connection.rows(sql, values, deadlineMs, waitMs) });
  await connection.run('ROLLBACK', [], deadlineMs);
  await setAccess(connection, WRITER, deadlineMs);
  return answer;
}
