import type { DeadlineMs } from '../core/nouns.ts';
import type { Connection, SqlValue } from './connection.ts';
import { CommitUnanswered, isBeforeCommit, LeftTransaction, reasonOf, Unavailable } from './failures.ts';
import type { ConnectionPool } from './pool.ts';

/** Kept of the time for finding out about an unanswered COMMIT: it is neither sent nor waited for in the last of it. */
export const RECALL_MS = 200;

/**
 * Nobody waits for a connection or at a gate until less than this is left: work that cannot be finished in time is not
 * begun. Without it an overloaded shard spends itself on requests that are given up just before their COMMIT.
 */
export const WORK_MS = 500;

/** One open transaction: statements go out one at a time, and the server must say after each that it is still open. */
export interface Transaction {
  /** @param waitMs the longest wait for the answer; absent: as for any statement */
  rows<Row>(sql: string, values: readonly SqlValue[], waitMs?: number): Promise<Row[]>;
  /** @returns how many rows the statement matched or inserted */
  run(sql: string, values: readonly SqlValue[]): Promise<number>;
  /** Undoes everything so far and begins anew: for reading what stands without it. Nothing is locked any more. */
  restart(): Promise<void>;
}

/** How the work on a transaction ends: kept or undone, with what to say about it. */
export interface Ending<T> {
  readonly keep: boolean;
  readonly value: T;
}

/**
 * Runs one transaction: BEGIN, the work, COMMIT or ROLLBACK.
 *
 * A long wait for a lock makes nothing of it take effect late: COMMIT is a statement of its own, and it is sent before
 * the deadline or never. A statement that still waits for a lock on a destroyed connection is rolled back when its wait
 * ends, because the server then finds the client gone. A COMMIT that waits behind a backup's lock of the server
 * waits for `lock_wait_timeout` at most.
 *
 * Before COMMIT is sent every failure means "no effect", because nothing else can commit: it is rolled back, or the
 * connection is destroyed and the server undoes what it had. After that, only an OK is an answer.
 *
 * @param waitUntilMs how long to wait for a connection
 * @throws Unavailable when there was no time or no connection; ServerError or ConnectionLost when it failed without effect;
 *   CommitUnanswered or LeftTransaction when it may have happened; whatever `work` throws, without effect
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
    // A proxy that moved us to another server between two statements would have let this one commit by itself.
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
  if (performance.now() + RECALL_MS >= deadlineMs) throw new Unavailable('it was too late to send COMMIT');
  try {
    await connection.run('COMMIT', [], deadlineMs - RECALL_MS);
  } catch (error) {
    if (isBeforeCommit(error, 0)) throw error;
    throw new CommitUnanswered(`COMMIT: ${reasonOf(error)}`);
  }
}

/** An undone transaction is undone even when the server never answers: COMMIT was not sent. */
async function rollBack(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  if (connection.isLost) return;
  await connection.run('ROLLBACK', [], deadlineMs).catch(() => connection.destroy());
}
