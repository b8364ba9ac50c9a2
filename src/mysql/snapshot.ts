import type { DeadlineMs } from '../core/nouns.ts';
import type { Connection } from './connection.ts';
import { ShardRefused } from './failures.ts';
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
  const { warnings } = await connection.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', [], deadlineMs);
  // At any other level the server ignores the snapshot with a warning; nothing else shows the level of one transaction.
  if (warnings > 0) {
    throw new ShardRefused(
      'the server began a transaction without its snapshot: REPEATABLE READ is needed and did not hold; ' +
        'let the proxy before it pass SET TRANSACTION on',
    );
  }
  const answer = await read({ rows: (sql, values) => connection.rows(sql, values, deadlineMs) });
  await connection.run('ROLLBACK', [], deadlineMs);
  return answer;
}
