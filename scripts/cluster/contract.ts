/** What a cluster of database servers is to those who use it. */
import type { ServerKind } from './installation.ts';

export interface ClusterOptions {
  /** How many servers to start. */
  servers: number;
  /** Holds private copies, templates and the servers' data; made when it is not there. */
  dataDirectory: string;
  /** Absent: the variable STOCKGATE_SERVER, else 'auto': MySQL if it can be had, MariaDB otherwise. */
  kind?: 'auto' | ServerKind;
  /** A name to keep the data under and find them again next time; absent: they are deleted at the end. */
  keep?: string;
  /** Progress, one short line a step. */
  say: (line: string) => void;
  /** Added to each server's command line, where the last one of equal settings counts. */
  extraArguments?: readonly string[];
  /** Servers that follow each of them; absent: none. Only MySQL's are built, and named servers have none. */
  replicas?: number;
  /** A commit waits, for a moment at most, until one that follows has it. */
  semiSync?: boolean;
}

export interface DatabaseServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Its process, while it runs and is ours. */
  readonly pid: number | undefined;
  /** An orderly shutdown; the data stay. */
  stop(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Starts it on the same port and data after a stop or a kill, and waits until it answers. */
  start(): Promise<void>;
}

/** A server that is written to, and those that follow it. */
export interface PrimaryServer extends DatabaseServer {
  /** Started anew after a stop or a kill, each goes on where it was. */
  readonly replicas: readonly DatabaseServer[];
}

export interface Cluster {
  /** What serves, and where it came from: 'MySQL 9.7.4, private copy from Debian unstable'. */
  readonly product: string;
  readonly servers: readonly PrimaryServer[];
  /** Ends all servers that are ours, and deletes their data unless they are kept. */
  stop(): Promise<void>;
}
