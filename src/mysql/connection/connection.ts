import { BATCH_ERROR } from './batchError.ts';
import mysql from 'mysql2';
import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import type { DeadlineMs } from '../../core/types.ts';
import type { SqlJson } from '../sql/text/json.ts';
import { isOff } from './switches.ts';
import { ConnectionLost, isReadOnlyError, SERVER_ERROR, ServerError } from './failures.ts';

/** Where one MySQL schema is found. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly schema: string;
}

/** Values for the `?` of a statement. Ids are sent as bytes, so no text ever reaches the server unescaped. */
export type SqlValue =
  Buffer | SqlJson | number | null | readonly Buffer[] | readonly number[] | readonly (readonly SqlValue[])[];

/** One call to the server as mysql2 answers it: rows, or the header of a write. */
type Answer = ResultSetHeader | RowDataPacket[];

/**
 * The errors after which a connection is used further. After any other error it is closed: a new connection is cheap,
 * and one in an unknown state could carry the transaction of one request into the next request.
 */
const CLEAN_ERRORS: ReadonlySet<number> = new Set([
  SERVER_ERROR.duplicateKey,
  SERVER_ERROR.noSuchTable,
  SERVER_ERROR.deadlock,
  SERVER_ERROR.lockedNow,
  // The procedure rolls the batch back before it returns such an error.
  ...Object.values(BATCH_ERROR),
]);

/** The most characters of a statement that a message quotes. */
const QUOTED_LENGTH_MAX = 200;

/**
 * Sent before reads, in the same packet. A server that can be written is the primary at this moment, and the reads that
 * follow see everything committed until then. So the answer was true at a moment after the question. After the reads it
 * would prove less: the server may have become the primary between the two.
 */
const ROLE = 'SELECT @@GLOBAL.read_only AS read_only';

/** The flag that the server sets in each OK packet while a transaction is open. */
const STATUS_IN_TRANSACTION = 1;

/**
 * One connection, with our own deadline on every call. mysql2's `destroy()` leaves pending calls pending for ever and
 * still flushes what it has buffered, so this class ends both the wait and the socket.
 */
export class Connection {
  readonly #raw: mysql.Connection;
  readonly #statementMs: number;
  #lost: Error | null = null;
  /** Fails the call that is waiting for the server; a connection carries one call at a time. */
  #failCall: ((error: Error) => void) | null = null;
  #onLost: (() => void) | null = null;
  #readsPrimaryOnly = false;
  /** When it was last used for work, on the monotonic clock. */
  lastUsedMs = 0;
  /** When the server last received a call on it, on the same clock. */
  lastCallMs = 0;

  private constructor(raw: mysql.Connection, statementMs: number) {
    this.#raw = raw;
    this.#statementMs = statementMs;
    raw.on('error', (error: Error) => this.#lose(new ConnectionLost(error.message, false)));
    raw.on('end', () => this.#lose(new ConnectionLost('the server closed the connection', false)));
  }

  /**
   * Opens a connection.
   *
   * @param statementMs the longest wait for one answer
   * @param connectMs the longest wait for the connection; absent: as for an answer
   * @throws ServerError when the server refuses the connection, ConnectionLost when it does not answer
   */
  static async open(address: Address, statementMs: number, connectMs = statementMs): Promise<Connection> {
    const raw = mysql.createConnection({
      host: address.host,
      port: address.port,
      user: address.user,
      password: address.password,
      database: address.schema,
      // Our own timeout ends first, and its error names what was waited for.
      connectTimeout: connectMs * 2,
      charset: 'utf8mb4',
      timezone: 'Z',
      dateStrings: true,
      supportBigNumbers: true,
      // For `script` alone. The text of every statement is fixed in this program, and values are sent as digits.
      multipleStatements: true,
      enableKeepAlive: true,
      keepAliveInitialDelay: 10_000,
    });
    const connection = new Connection(raw, statementMs);
    await connection.#call<void>(performance.now() + connectMs, 'connecting', (done) =>
      raw.connect((error) => done(error, undefined)),
    );
    return connection;
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** True when the connection was lost and the server sent no reason. */
  get isLostInSilence(): boolean {
    return this.#lost !== null && !(this.#lost instanceof ServerError);
  }

  /** True when the connection was closed because its server is read-only. */
  get isLostToReadOnly(): boolean {
    return isReadOnlyError(this.#lost);
  }

  /** From now on answers of a read-only server are discarded, and the connection is closed. */
  readPrimaryOnly(): void {
    this.#readsPrimaryOnly = true;
  }

  /** Calls back once when the connection is lost while no call is running on it. */
  whenLost(callback: () => void): void {
    this.#onLost = callback;
  }

  /**
   * Runs a statement that returns rows.
   *
   * @param waitMs the longest wait for its answer; absent: as for any statement
   * @throws ServerError when the server is read-only and only a primary may be read
   */
  async rows<Row>(sql: string, values: readonly SqlValue[], deadlineMs: DeadlineMs, waitMs?: number): Promise<Row[]> {
    if (!this.#readsPrimaryOnly) return this.rowsOfAnyServer(sql, values, deadlineMs, waitMs);
    const [rows] = await this.reads([sql], values, deadlineMs, waitMs);
    return rowsIn<Row>(rows, sql);
  }

  /** Runs a statement that returns rows, also on a read-only server: for questions about the server itself. */
  async rowsOfAnyServer<Row>(...[sql, ...rest]: Parameters<Connection['rows']>): Promise<Row[]> {
    return rowsIn<Row>(await this.#query(sql, ...rest), sql);
  }

  /**
   * Sends several statements that only read, in one packet, like `script`.
   *
   * @returns the answer of each
   * @throws ServerError when the server is read-only and only a primary may be read
   */
  async reads(...[sqls, ...rest]: Parameters<Connection['script']>): Promise<readonly Answer[]> {
    if (!this.#readsPrimaryOnly) return this.script(sqls, ...rest);
    const [role, ...answers] = await this.script([ROLE, ...sqls], ...rest);
    const [row] = rowsIn<{ read_only: number | string }>(role, ROLE);
    if (row !== undefined && isOff(row.read_only)) return answers;
    const reason = `read_only = ${row?.read_only} (needed: 0): only the primary may answer`;
    const readOnly = new ServerError(SERVER_ERROR.readOnly, reason);
    this.#lose(readOnly);
    throw readOnly;
  }

  /**
   * Runs a statement that returns no rows.
   *
   * @returns the rows it matched (mysql2 asks for FOUND_ROWS, so not the rows it changed) and whether the server has a
   *   transaction open afterwards
   */
  async run(
    sql: string,
    values: readonly SqlValue[],
    deadlineMs: DeadlineMs,
  ): Promise<{ matched: number; inTransaction: boolean }> {
    const answer = await this.#query(sql, values, deadlineMs);
    if (Array.isArray(answer)) throw new Error(`expected no rows from: ${sql}`);
    const status = (answer as { serverStatus?: number }).serverStatus ?? 0;
    return { matched: answer.affectedRows, inTransaction: (status & STATUS_IN_TRANSACTION) !== 0 };
  }

  /**
   * Sends several statements in one packet. The first error ends the packet: later statements are not run. A
   * transaction that is open then stays open, unless the failed statement has rolled it back.
   *
   * @param waitMs the longest wait for the answer to all of it. If absent, as for one statement.
   * @param sqls at least one. A CALL among them must not return rows.
   * @returns the answer of each.
   * @throws ServerError with the number of statements that were answered before it
   */
  async script(
    sqls: readonly string[],
    values: readonly SqlValue[],
    deadlineMs: DeadlineMs,
    waitMs?: number,
  ): Promise<readonly Answer[]> {
    const answers = await this.#query(sqls.join(';'), values, deadlineMs, waitMs);
    return sqls.length === 1 ? [answers] : (answers as unknown as Answer[]);
  }

  /** Ends the connection at once. Bytes not yet sent are never sent, and a waiting call is rejected. */
  destroy(): void {
    this.#lose(new ConnectionLost('the connection was destroyed', false));
  }

  #query(sql: string, values: readonly SqlValue[], deadlineMs: DeadlineMs, waitMs?: number): Promise<Answer> {
    const start = (done: (error: Failed | null, value: Answer) => void): void => {
      let answered = 0;
      const query = this.#raw.query(sql, [...values], (error, answer) => {
        done(error === null ? null : Object.assign(error, { answered }), answer as Answer);
      });
      // Once for each statement: when its OK arrives, or the description of its rows.
      query.on('fields', () => (answered += 1));
    };
    return this.#call(deadlineMs, sql, start, waitMs);
  }

  #call<T>(
    deadlineMs: DeadlineMs,
    what: string,
    start: (done: (error: Failed | null, value: T) => void) => void,
    waitMsMax = this.#statementMs,
  ): Promise<T> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    if (this.#failCall !== null) return Promise.reject(new Error('a connection carries one call at a time'));
    return new Promise<T>((resolve, reject) => {
      const waitMs = Math.max(0, Math.min(waitMsMax, deadlineMs - performance.now()));
      let isFinished = false;
      const giveUp = (): void => {
        if (!isFinished)
          this.#lose(new ConnectionLost(`no answer in time to: ${what.slice(0, QUOTED_LENGTH_MAX)}`, true));
      };
      // If this process was the slow side, the answer is already in the socket, and it is read before this runs.
      const timer = setTimeout(() => setImmediate(giveUp), waitMs);
      const finish = (): void => {
        isFinished = true;
        clearTimeout(timer);
        this.#failCall = null;
      };
      this.#failCall = (error) => {
        finish();
        reject(error);
      };
      start((error, value) => {
        if (this.#lost !== null) return;
        if (error === null) {
          finish();
          resolve(value);
          return;
        }
        const failure = failureOf(error);
        if (failure instanceof ServerError && CLEAN_ERRORS.has(failure.number)) this.#failCall?.(failure);
        else this.#lose(failure);
      });
    });
  }

  #lose(lost: Error): void {
    if (this.#lost !== null) return;
    this.#lost = lost;
    this.#raw.destroy();
    (this.#raw as unknown as { stream: { destroy(): void } }).stream.destroy();
    if (this.#failCall !== null) this.#failCall(lost);
    else this.#onLost?.();
  }
}

/** An error of mysql2 for a failed call; `answered`: statements of its packet that were answered before it. */
type Failed = Error & { readonly answered?: number };

/** An error that the server sent keeps its number. Any other failure means that the connection is lost. */
function failureOf(error: Failed): ServerError | ConnectionLost {
  const { errno, sqlState, fatal } = error as mysql.QueryError;
  const isFromServer = typeof errno === 'number' && typeof sqlState === 'string' && !fatal;
  return isFromServer
    ? new ServerError(errno, error.message, error.answered)
    : new ConnectionLost(error.message, false);
}

function rowsIn<Row>(answer: Answer | undefined, sql: string): Row[] {
  if (!Array.isArray(answer)) throw new Error(`expected rows from: ${sql}`);
  return answer as Row[];
}
