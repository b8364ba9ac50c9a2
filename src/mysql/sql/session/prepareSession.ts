import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { ShardRefused } from '../../connection/failures.ts';
import { SQL_MODE } from './sqlMode.ts';

/** How a session's transactions read, and whether they may write. */
export interface Access {
  readonly isolation: 'READ COMMITTED' | 'REPEATABLE READ';
  readonly isReadOnly: boolean;
}

/** For sessions that decide and write. */
export const WRITER: Access = { isolation: 'READ COMMITTED', isReadOnly: false };

/** For sessions that only read, and see one moment in each transaction. */
export const SNAPSHOT: Access = { isolation: 'REPEATABLE READ', isReadOnly: true };

/** The settings of every session that a promise rests on. No default of a server is relied on. */
export const SESSION_SETTINGS = {
  sql_mode: SQL_MODE,
  time_zone: '+00:00',
  character_set_client: 'utf8mb4',
  character_set_connection: 'utf8mb4',
  character_set_results: 'utf8mb4',
  autocommit: 1,
  /** A COMMIT begins no other transaction. */
  completion_type: 'NO_CHAIN',
  /** A read returns all its rows: an id without a row does not exist. */
  sql_select_limit: '18446744073709551615',
  innodb_lock_wait_timeout: 1,
  lock_wait_timeout: 2,
  wait_timeout: 2,
} as const satisfies Readonly<Record<string, string | number>>;

const SET = `SET SESSION ${Object.entries(SESSION_SETTINGS)
  .map(([name, needed]) => `${name} = ${typeof needed === 'number' || /^\d+$/.test(needed) ? needed : `'${needed}'`}`)
  .join(', ')}`;
const READ = Object.keys(SESSION_SETTINGS)
  .map((name) => `@@SESSION.${name} AS ${name}`)
  .join(', ');
/** MySQL no longer has `tx_…` variables, MariaDB 10.11 only these. Each product runs the text in its own comment. */
const ACCESS =
  '/*!80000 @@SESSION.transaction_isolation *//*M!100000 @@SESSION.tx_isolation */ AS isolation, ' +
  '/*!80000 @@SESSION.transaction_read_only *//*M!100000 @@SESSION.tx_read_only */ AS is_read_only';

/**
 * The time within which the server returns the error of a lock wait. It takes up to twice the second that is set: MySQL
 * checks once a second for waits that have expired, and each new wait starts that second again.
 */
export const LOCK_ERROR_MS = 2_100;

/**
 * Sets the variables of a new session on which every statement relies, and reads them back: a proxy may answer OK and
 * drop a setting, or lend a session that another client changed before. `wait_timeout` bounds how long a frozen gateway
 * can keep a row locked: the server ends a session that is silent for longer and undoes its work. The lock waits bound
 * how long a statement that the gateway gave up still waits, for a row or for a table that is being changed.
 *
 * It does not detect a session that is changed later. For that case a batch asserts its deadline after its last lock.
 *
 * @throws ShardRefused when the server does not confirm a setting, with the value found and the value needed
 */
export async function prepareSession(
  connection: Connection,
  deadlineMs: DeadlineMs,
  access: Access = WRITER,
): Promise<void> {
  // A statement of its own: its variable has another name on each product.
  await connection.run(accessText(access), [], deadlineMs);
  await connection.run(SET, [], deadlineMs);
  const [found = {}] = await connection.rows<FoundSetting>(`SELECT ${READ}, ${ACCESS}`, [], deadlineMs);
  assertHeld({ ...SESSION_SETTINGS, ...accessValues(access) }, found);
}

/**
 * Changes how a session's next transactions read, and reads it back.
 *
 * @throws ShardRefused when the server does not confirm it
 */
export async function setAccess(connection: Connection, access: Access, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(accessText(access), [], deadlineMs);
  const [found = {}] = await connection.rows<FoundSetting>(`SELECT ${ACCESS}`, [], deadlineMs);
  assertHeld(accessValues(access), found);
}

function accessText({ isolation, isReadOnly }: Access): string {
  return `SET SESSION TRANSACTION ISOLATION LEVEL ${isolation}, READ ${isReadOnly ? 'ONLY' : 'WRITE'}`;
}

function accessValues({ isolation, isReadOnly }: Access): Readonly<Record<string, string | number>> {
  return { isolation: isolation.replace(' ', '-'), is_read_only: Number(isReadOnly) };
}

/**
 * Changes one setting of a session, and reads it back.
 *
 * @throws ShardRefused when the server does not confirm it
 */
export async function setSession(
  connection: Connection,
  name: keyof typeof SESSION_SETTINGS,
  needed: number,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(`SET SESSION ${name} = ${needed}`, [], deadlineMs);
  const [found = {}] = await connection.rows<FoundSetting>(`SELECT @@SESSION.${name} AS ${name}`, [], deadlineMs);
  assertHeld({ [name]: needed }, found);
}

/** A row of session variables. */
export type FoundSetting = Readonly<Record<string, string | number | null>>;

/** @returns the refusal that names every setting with another value; null: all have theirs */
export function findWrongSettings(
  needed: Readonly<Record<string, string | number>>,
  found: FoundSetting,
): ShardRefused | null {
  const faults = Object.entries(needed).flatMap(([name, value]) => {
    const is = found[name] ?? null;
    const shown = is === null ? 'unknown' : `'${is}'`;
    return isSame(name, is, value) ? [] : [`the session's ${name} is ${shown} after it was set to '${value}'`];
  });
  if (faults.length === 0) return null;
  const remedy = 'let the proxy before the server pass SET SESSION on, and keep one server session for each connection';
  return new ShardRefused(`${faults.join('; ')}: ${remedy}`);
}

function assertHeld(needed: Readonly<Record<string, string | number>>, found: FoundSetting): void {
  const refusal = findWrongSettings(needed, found);
  if (refusal !== null) throw refusal;
}

/** A mode is a set of words, in the server's own order. */
function isSame(name: string, found: string | number | null, needed: string | number): boolean {
  const words = (value: string | number | null): string => String(value).split(',').sort().join(',');
  return name === 'sql_mode' ? words(found) === words(needed) : String(found) === String(needed);
}
