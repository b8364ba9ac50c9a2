import type { DeadlineMs } from '../../core/types.ts';
import type { Connection, SqlValue } from './connection.ts';
import { CommitUnanswered, isBeforeCommit, LeftTransaction, Unavailable } from './failures.ts';
import type { ConnectionPool } from './pool.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Time that is kept for resolving an unanswered COMMIT: in this last part, COMMIT is neither sent nor waited for. */
export const IN_DOUBT_READ_MS = 200;

/**
 * An operation waits for a connection or at a gate until this much time is left: work that cannot be finished in time
 * is not begun. Otherwise an overloaded shard would spend its time on requests that are given up just before their
 * COMMIT.
 */
export const WORK_MS = 500;

/**
 * One open transaction. Statements are sent one at a time, and the server must report after each that it is still open.
 */
export interface Transaction {
  /** @param waitMs the longest wait for the answer; if absent, as for any statement */
  rows<Row>(sql: string, values: readonly SqlValue[], waitMs?: number): Promise<Row[]>;
  /** @returns how many rows the statement matched or inserted */
  run(sql: string, values: readonly SqlValue[]): Promise<number>;
  /** Rolls back everything so far and begins again, to read what is left without it. No lock is held any more. */
  restart(): Promise<void>;
}

/** The end of the work on a transaction: commit or rollback, and the result. */
export interface Ending<T> {
  readonly keep: boolean;
  readonly value: T;
}

/**
 * Runs one transaction: BEGIN, the work, COMMIT or ROLLBACK.
 *
 * A long lock wait cannot make a transaction take effect late: COMMIT is a statement of its own, and it is sent before
 * the deadline or never. A statement that still waits for a lock on a destroyed connection is rolled back when its wait
 * ends, because the server then detects that the client is gone. A COMMIT that waits behind a backup's lock of the
 * server waits for `lock_wait_timeout` at most.
 *
 * Before COMMIT is sent every failure means "no effect", because nothing else can commit: the transaction is rolled
 * back, or the connection is destroyed and the server undoes its work. After that, only an OK is an answer.
 *
 * @param waitUntilMs how long to wait for a connection
 * @throws Unavailable when there was no time or no connection. ServerError or ConnectionLost when it failed without
 *   effect. CommitUnanswered or LeftTransaction when it may have been committed. Every error of `work`, without effect.
 */
export async function transact<T>(
  pool: ConnectionPool,
  deadlineMs: DeadlineMs,
  work: (transaction: Transaction) => Promise<Ending<T>>,
  waitUntilMs: DeadlineMs = deadlineMs - WORK_MS,
): Promise<T> {
  const connection = await pool.acquire(waitUntilMs);
  try {
    const transaction = await begin(connection, deadlineMs);
    const { keep, value } = await work(transaction);
    if (keep) await commit(connection, deadlineMs);
    else await rollBack(connection, deadlineMs);
    return value;
  } catch (error) {
    if (error instanceof CommitUnanswered || error instanceof LeftTransaction) connection.destroy();
    else await rollBack(connection, deadlineMs);
    throw error;
  } finally {
    if (connection.isLost) pool.discard(connection);
    else pool.release(connection);
  }
}

async function begin(connection: Connection, deadlineMs: DeadlineMs): Promise<Transaction> {
  const run = async (sql: string, values: readonly SqlValue[]): Promise<number> => {
    const { matched, inTransaction } = await connection.run(sql, values, deadlineMs);
    // If a proxy moved the session to another server between two statements, this statement was committed by itself.
    if (!inTransaction) throw new LeftTransaction(`the server had no transaction open after: ${sql}`);
    return matched;
  };
  await run('BEGIN', []);
  const restart = async (): Promise<void> => {
    await connection.run('ROLLBACK', [], deadlineMs);
    await run('BEGIN', []);
  };
  return { run, restart, rows: (sql, values, waitMs) => connection.rows(sql, values, deadlineMs, waitMs) };
}

async function commit(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  if (performance.now() + IN_DOUBT_READ_MS >= deadlineMs)
    throw new Unavailable('the deadline was too near to send COMMIT');
  try {
    await connection.run('COMMIT', [], deadlineMs - IN_DOUBT_READ_MS);
  } catch (error) {
    if (isBeforeCommit(error, 0)) throw error;
    throw new CommitUnanswered(`COMMIT: ${errorText(error)}`);
  }
}

/** The transaction has no effect even when the server never answers, because COMMIT was not sent. */
async function rollBack(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  if (connection.isLost) return;
  await connection.run('ROLLBACK', [], deadlineMs).catch(() => connection.destroy());
}
