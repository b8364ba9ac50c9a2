/** Numbers of the server errors this code acts on; MySQL and MariaDB agree on them. */
export const SERVER_ERROR = {
  duplicateKey: 1062,
  noSuchTable: 1146,
  /** Of a row or a table. */
  lockWaitTimeout: 1205,
  deadlock: 1213,
  /** MySQL: a row is locked that was asked for with NOWAIT; MariaDB says `lockWaitTimeout`. */
  lockedNow: 3572,
  schemaDenied: 1044,
  tableDenied: 1142,
  noSuchProcedure: 1305,
  routineDenied: 1370,
  readOnly: 1290,
  readOnlyMode: 1836,
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

  constructor(number: number, message: string) {
    super(`server error ${number}: ${message}`);
    this.number = number;
  }
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
