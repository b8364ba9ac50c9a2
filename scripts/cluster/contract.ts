/** The interface of a cluster of database servers. */
import type { ServerKind } from './install/installation.ts';

export interface ClusterOptions {
  /** How many servers to start. */
  servers: number;
  /** The folder of private copies, templates and the servers' data; created if it does not exist. */
  dataDirectory: string;
  /** Absent: the variable STOCKGATE_SERVER, else 'auto': MySQL if it can be had, MariaDB otherwise. */
  kind?: 'auto' | ServerKind;
  /** The name under which the data are kept for the next run; absent: they are deleted at the end. */
  keep?: string;
  /** Called with one short line of progress for each step. */
  onProgress: (line: string) => void;
  /** Added to each server's command line, where the last one of equal settings counts. */
  extraArguments?: readonly string[];
  /** Replicas of each server; absent: none. They are made for MySQL only, and not for servers of the environment. */
  replicas?: number;
  /** A commit waits until a replica has it, for at most `SEMI_SYNC_TIMEOUT_MS`. */
  semiSync?: boolean;
}

export interface DatabaseServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Its process; undefined while it does not run, and for a server that we did not start. */
  readonly pid: number | undefined;
  /** Shuts it down in order; the data stay. */
  stop(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Starts it on the same port and data after a stop or a kill, and waits until it answers. */
  start(): Promise<void>;
}

/** A server that takes writes, with its replicas. */
export interface PrimaryServer extends DatabaseServer {
  /** A replica that is started again after a stop or a kill continues from its last position. */
  readonly replicas: readonly DatabaseServer[];
}

export interface Cluster {
  /** The product and its origin: 'MySQL 9.7.4, private copy from Debian unstable'. */
  readonly product: string;
  readonly servers: readonly PrimaryServer[];
  /** Ends all servers that we started, and deletes their data unless they are kept. */
  stop(): Promise<void>;
}
