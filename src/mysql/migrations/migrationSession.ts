import type { RawConnection } from './migrationLock.ts';
import { findWrongSettings } from '../sql/session/prepareSession.ts';
import type { FoundSetting } from '../sql/session/prepareSession.ts';
import { SQL_MODE } from '../sql/session/sqlMode.ts';

/**
 * How long a migration waits for a table lock. Every later statement on that table waits behind it, so the migration
 * gives up early and tries again.
 */
const TABLE_WAIT_SECONDS = 1;

/** A procedure keeps the SQL mode of the session that created it. */
const NEEDED = { sql_mode: SQL_MODE, lock_wait_timeout: TABLE_WAIT_SECONDS, autocommit: 1 } as const;
const SET =
  `SET SESSION sql_mode = '${NEEDED.sql_mode}', lock_wait_timeout = ${NEEDED.lock_wait_timeout}, ` +
  `autocommit = ${NEEDED.autocommit}`;
const READ =
  'SELECT @@SESSION.sql_mode AS sql_mode, @@SESSION.lock_wait_timeout AS lock_wait_timeout, ' +
  '@@SESSION.autocommit AS autocommit';

/**
 * Sets the variables of a session that migrates, and reads them back.
 *
 * @param done receives a ShardRefused when a variable has another value than was set
 */
export function prepareMigration(connection: RawConnection, done: (error: Error | null) => void): void {
  connection.query(SET, (refusal) => {
    if (refusal !== null) return done(refusal);
    connection.query(READ, (error, rows) =>
      done(error ?? findWrongSettings(NEEDED, (rows as readonly FoundSetting[])[0] ?? {})),
    );
  });
}
