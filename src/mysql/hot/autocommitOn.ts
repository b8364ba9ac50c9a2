import type { DeadlineMs } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import type { Transaction } from '../connection/transaction.ts';

/**
 * A connection for statements that are a transaction each. Such a statement can wait for a lock beyond its deadline and
 * take effect then. So it runs only statements that change nothing of an order and are fenced by an epoch, a revision
 * or a lease, or that state a fact which never changes.
 */
export function autocommitOn(connection: Connection, deadlineMs: DeadlineMs): Pick<Transaction, 'run'> {
  return { run: async (sql, values) => (await connection.run(sql, values, deadlineMs)).matched };
}
