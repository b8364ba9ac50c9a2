import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { prepareSession } from './prepareSession.ts';

/** A statement of its own is a transaction, and one snapshot for all tables in it. */
const READ_ONLY = 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY';

/** Gives a new session on a replica what its statements count on; it can write nothing. */
export async function prepareReader(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await prepareSession(connection, deadlineMs);
  await connection.run(READ_ONLY, [], deadlineMs);
}
