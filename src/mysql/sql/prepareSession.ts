import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';

/** A statement of its own: MySQL and MariaDB 10.11 name the variable differently. */
const ISOLATION = 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED';

const SETTINGS = `SET SESSION
  sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  time_zone = '+00:00',
  autocommit = 1,
  innodb_lock_wait_timeout = 1,
  lock_wait_timeout = 2,
  wait_timeout = 2`;

/**
 * By then the server has said that a row is locked. It takes up to twice the second that it is told: MySQL looks for waits
 * that are over once a second, and each new wait begins that second anew.
 */
export const LOCK_SAID_MS = 2_100;

/**
 * Gives a new session what every statement counts on, whatever the server's own defaults are. `wait_timeout` bounds
 * how long a frozen gateway can keep a row locked: the server ends a session that is silent for longer and undoes its
 * work. The lock waits bound how long a statement that we gave up goes on waiting, for a row or for a table that is being changed.
 */
export async function prepareSession(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(ISOLATION, [], deadlineMs);
  await connection.run(SETTINGS, [], deadlineMs);
}
