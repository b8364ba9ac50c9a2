/** Numbers of the server errors this code acts on; MySQL and MariaDB agree on them. */
export const SERVER_ERROR = {
  duplicateKey: 1062,
  noSuchTable: 1146,
  /** Of a row or a table. */
  lockWaitTimeout: 1205,
  deadlock: 1213,
  /** MySQL: a row is locked that was asked for with NOWAIT; MariaDB says `lockWaitTimeout`. */
  lockedNow: 3572,
  readOnly: 1290,
  readOnlyMode: 1836,
  /** Of the procedure that writes batches: the account could write, but the server is not the primary. */
  readOnlyBatch: 30006,
  shuttingDown: 1053,
  /** There is no connection of that number to be ended. */
  noSuchConnection: 1094,
  /** MariaDB: somebody ended this connection. */
  connectionKilled: 1927,
  /** MySQL: the session had been silent for too long. */
  sessionEnded: 4031,
} as const;

/**
 * The server answered a statement with an error. Whether the connection can still be used is the connection's business;
 * the transaction can only be rolled back.
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

/** The server takes no writes. At COMMIT too these say that the transaction was rolled back. */
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
 * Whether an error proves that a packet with a COMMIT has committed nothing, whatever the number of the error. A server stops
 * a packet at its first error, so an error in place of an earlier answer means that COMMIT was not run.
 *
 * @param statementsBefore statements of the packet before its COMMIT
 */
export function isBeforeCommit(error: unknown, statementsBefore: number): error is ServerError {
  if (!(error instanceof ServerError) || mayComeFromProxy(error)) return false;
  return error.answered < statementsBefore || isReadOnlyError(error);
}

/**
 * Numbers of client libraries, of ProxySQL, and one of servers that MaxScale uses too. A proxy that lost its server does not
 * say how far the server got.
 */
function mayComeFromProxy({ number }: ServerError): boolean {
  const isInRange = (least: number, most: number): boolean => number >= least && number <= most;
  return isInRange(2_000, 2_999) || isInRange(9_000, 9_999) || number === SERVER_ERROR.connectionKilled;
}

/** No clean answer came, so the connection is destroyed. COMMIT had not been sent: the transaction has no effect. */
export class ConnectionLost extends Error {
  /** True when our own deadline ended the wait, false when the connection broke. */
  readonly timedOut: boolean;

  constructor(message: string, timedOut: boolean) {
    super(message);
    this.timedOut = timedOut;
  }
}

/** There was no connection or no time for it, without effect. */
export class Unavailable extends Error {}

/** The shard answers but must not be served as it is: wrong settings, schema, hash or place. */
export class ShardRefused extends Error {}

/** COMMIT was sent, and no OK came back. */
export class CommitUnanswered extends Error {}

/** A statement ran outside its transaction: something between us and the server moved the connection elsewhere. */
export class LeftTransaction extends Error {}

/** Another transaction got in between two of our statements: the whole transaction is worth another try. */
export class Raced extends Error {}

/** A row does not hold what it should. It fails the work on this row alone, without effect. */
export class Unreadable extends Error {}

/** The words of any thrown thing. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** True for the failures of a shard, as against faults of this program: the transaction had no effect. */
export function hadNoEffect(error: unknown): boolean {
  return (
    error instanceof Unavailable ||
    error instanceof ConnectionLost ||
    error instanceof ServerError ||
    error instanceof Raced ||
    error instanceof Unreadable
  );
}
