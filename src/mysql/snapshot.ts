import type { DeadlineMs } from '../core/nouns.ts';
import type { Connection } from './connection.ts';
import type { Transaction } from './transaction.ts';

/** What several statements can be sent to that are to see the same moment. */
export type Snapshot = Pick<Transaction, 'rows'>;

/**
 * Runs several reads in one consistent snapshot: what is committed meanwhile is in none of them. No lock is taken.
 *
 * @throws when the shard cannot be read; the connection must then not be used again
 */
export async function inSnapshot<T>(connection: Connection, deadlineMs: DeadlineMs, read: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  // For the next transaction alone; those of a session are READ COMMITTED, which see something new in every statement.
  await connection.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', [], deadlineMs);
  await connection.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', [], deadlineMs);
  const answer = await read({ rows: (sql, values) => connection.rows(sql, values, deadlineMs) });
  await connection.run('ROLLBACK', [], deadlineMs);
  return answer;
}
