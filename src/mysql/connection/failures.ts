/** Numbers of the server errors this code acts on; MySQL and MariaDB agree on them. */
export const SERVER_ERROR = {
  duplicateKey: 1062,
  noSuchTable: 1146,
  /** Of a row or a table. */
  lockWaitTimeout: 1205,
  deadlock: 1213,
  /** MySQL: a row that was requested with NOWAIT is locked. MariaDB returns `lockWaitTimeout` for it. */
  lockedNow: 3572,
  readOnly: 1290,
  readOnlyMode: 1836,
  /** From the procedure that writes batches: the account may write, but the server is not the primary. */
  readOnlyBatch: 30006,
  shuttingDown: 1053,
  /** No connection has the number that a KILL names. */
  noSuchConnection: 1094,
  /** MariaDB: this connection was killed. */
  connectionKilled: 1927,
  /** MySQL: the session was idle for too long. */
  sessionEnded: 4031,
} as const;

/**
 * The server answered a statement with an error. `Connection` decides whether it can still be used. The transaction can
 * only be rolled back.
 */
export class ServerError extends Error {
  readonly number: number;
  /** How many statements of the same packet the server had answered before this error ended the packet. */
  readonly answered: number;

  constructor(number: number, message: string, answered = 0) {
    super(`server error ${number}: ${message}`);
    this.number = number;
    this.answered = answered;
  }
}

/** The server accepts no writes. Also at COMMIT, these errors mean that the transaction was rolled back. */
const READ_ONLY: ReadonlySet<number> = new Set([
  SERVER_ERROR.readOnly,
  SERVER_ERROR.readOnlyMode,
  SERVER_ERROR.readOnlyBatch,
]);

/** Whether a server refused because it is read-only: it is not, or no longer, the primary. */
export function isReadOnlyError(error: unknown): error is ServerError {
  return error instanceof ServerError && READ_ONLY.has(error.number);
}

/**
 * Whether an error proves, by its place and not by its number, that a packet with a COMMIT has committed nothing. A
 * server stops a packet at its first error, so an error in place of an earlier answer means that COMMIT was not run.
 *
 * @param statementsBefore statements of the packet before its COMMIT
 */
export function isBeforeCommit(error: unknown, statementsBefore: number): error is ServerError {
  if (!(error instanceof ServerError) || mayComeFromProxy(error)) return false;
  return error.answered < statementsBefore || isReadOnlyError(error);
}

/**
 * Numbers of client libraries, of ProxySQL, and one number of servers that MaxScale also sends. If a proxy has lost its
 * server, its error does not show which statements the server has run.
 */
function mayComeFromProxy({ number }: ServerError): boolean {
  const isInRange = (least: number, most: number): boolean => number >= least && number <= most;
  return isInRange(2_000, 2_999) || isInRange(9_000, 9_999) || number === SERVER_ERROR.connectionKilled;
}

/** No clean answer arrived, so the connection is destroyed. COMMIT had not been sent: the transaction has no effect. */
export class ConnectionLost extends Error {
  /** True when our own deadline ended the wait, false when the connection broke. */
  readonly timedOut: boolean;

  constructor(message: string, timedOut: boolean) {
    super(message);
    this.timedOut = timedOut;
  }
}

/** No connection was free, or the time was too short for one. Without effect. */
export class Unavailable extends Error {}

/** The shard answers but must not be used: its settings, schema, hash version or index are wrong. */
export class ShardRefused extends Error {}

/** COMMIT was sent, and no OK came back. */
export class CommitUnanswered extends Error {}

/** A statement ran outside its transaction, because something between gateway and server changed the session. */
export class LeftTransaction extends Error {}

/** Another transaction made a change between two of our statements. The whole transaction may be tried again. */
export class Raced extends Error {}

/** A row has content that cannot be read. Only the work on this row fails, without effect. */
export class Unreadable extends Error {}

/** True for failures of a shard, after which the transaction had no effect. False for faults of this program. */
export function hadNoEffect(error: unknown): boolean {
  return (
    error instanceof Unavailable ||
    error instanceof ConnectionLost ||
    error instanceof ServerError ||
    error instanceof Raced ||
    error instanceof Unreadable
  );
}
