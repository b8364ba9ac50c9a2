import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { prepareSession, SNAPSHOT } from './prepareSession.ts';

/**
 * Sets the variables of a new session on a replica on which its statements rely; it can write nothing. Each of its
 * statements is a transaction, with one snapshot for all tables in it.
 *
 * @throws ShardRefused when the server does not confirm a setting
 */
export async function prepareReader(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await prepareSession(connection, deadlineMs, SNAPSHOT);
}
