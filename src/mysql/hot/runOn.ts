import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import type { Transaction } from '../transaction.ts';

/** A connection for statements that are a transaction each. */
export function runOn(connection: Connection, deadlineMs: DeadlineMs): Pick<Transaction, 'run'> {
  return { run: async (sql, values) => (await connection.run(sql, values, deadlineMs)).matched };
}
