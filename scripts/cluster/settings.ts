import type { Installation, ServerKind } from './installation.ts';

/** The account that every server we make has: all privileges, from this machine only, over data nobody will miss. */
export const ACCOUNT = { user: 'stockgate', password: 'stockgate-local' } as const;

export interface ServerSettings {
  dataDirectory: string;
  port: number;
  serverId: number;
  bufferPoolMegabytes: number;
  /** How long to wait for the port when it is taken, as it may be for a moment after a kill. */
  portWaitSeconds: number;
  /** Its part in replication; absent: none. MySQL only. */
  replication?: ReplicationSettings;
}

export interface ReplicationSettings {
  role: 'source' | 'replica';
  semiSync: boolean;
}

/** How long a commit waits for a replica before the server goes on without. */
const SEMI_SYNC_TIMEOUT_MS = 1_000;
/** After so long without a word from its source a replica connects anew; the source is told to speak more often. */
const SILENT_SOURCE_SECONDS = 4;

const NO_PERFORMANCE_SCHEMA = '--performance-schema=OFF';

/** What stands first on every command line of a server, and where its data are. */
export function baseArguments(installation: Installation, dataDirectory: string): string[] {
  return [
    '--no-defaults',
    ...installation.arguments,
    `--datadir=${dataDirectory}`,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    NO_PERFORMANCE_SCHEMA,
    // The packages' default is a system folder that a private copy does not have.
    ...(installation.kind === 'mysql'
      ? ['--auto-generate-certs=OFF', '--secure-file-priv=NULL']
      : // One that starts deletes all temporary tables in its folder for them, those of a neighbour that runs too.
        [`--tmpdir=${dataDirectory}`]),
  ];
}

/**
 * How a server serves, wherever it runs. What concerns durability and isolation is as it must be in production, so that
 * tests test and benchmarks measure what will run; only sizes are small.
 */
function servingArguments(
  kind: ServerKind,
  settings: Pick<ServerSettings, 'serverId' | 'bufferPoolMegabytes'>,
): string[] {
  return [
    '--innodb-flush-log-at-trx-commit=1',
    '--sync-binlog=1',
    '--log-bin=binlog',
    `--server-id=${settings.serverId}`,
    '--default-time-zone=+00:00',
    '--max-connections=1000',
    '--skip-name-resolve',
    `--innodb-buffer-pool-size=${settings.bufferPoolMegabytes}M`,
    // 'Loose', as MySQL before 8.0.30 does not know it and can do without.
    ...(kind === 'mysql'
      ? ['--mysqlx=OFF', '--loose-innodb-redo-log-capacity=64M']
      : ['--binlog-format=ROW', '--innodb-log-file-size=64M']),
  ];
}

/** The command of a server in a container, whose image knows where its files are. */
export function containerArguments(
  kind: ServerKind,
  settings: Pick<ServerSettings, 'serverId' | 'bufferPoolMegabytes'>,
): string[] {
  return [...servingArguments(kind, settings), NO_PERFORMANCE_SCHEMA];
}

/** The command line of a server that runs on this machine. */
export function serverArguments(installation: Installation, settings: ServerSettings): string[] {
  return [
    ...baseArguments(installation, settings.dataDirectory),
    ...servingArguments(installation.kind, settings),
    '--bind-address=127.0.0.1',
    `--port=${settings.port}`,
    `--port-open-timeout=${settings.portWaitSeconds}`,
    // Relative to the data directory, which the server makes its working directory: a socket's path is limited to 107 bytes.
    '--socket=mysqld.sock',
    '--pid-file=mysqld.pid',
    '--log-error=error.log',
    ...(settings.replication === undefined ? [] : replicationArguments(settings.replication)),
  ];
}

function replicationArguments({ role, semiSync }: ReplicationSettings): string[] {
  const plugins = {
    source: 'rpl_semi_sync_source=semisync_source.so',
    replica: 'rpl_semi_sync_replica=semisync_replica.so',
  };
  return [
    '--gtid-mode=ON',
    '--enforce-gtid-consistency=ON',
    '--log-replica-updates=ON',
    ...(role === 'source'
      ? []
      : [
          '--super-read-only=ON',
          // The source has another port than last time, and somebody else may have its old one.
          '--skip-replica-start=ON',
          '--relay-log=relay',
          '--relay-log-recovery=ON',
          // What is seen there was so on the source: commits are in its order.
          '--replica-preserve-commit-order=ON',
          `--replica-net-timeout=${SILENT_SOURCE_SECONDS}`,
        ]),
    ...(semiSync
      ? [
          `--plugin-load-add=${plugins[role]}`,
          `--rpl-semi-sync-${role}-enabled=ON`,
          ...(role === 'source' ? [`--rpl-semi-sync-source-timeout=${SEMI_SYNC_TIMEOUT_MS}`] : []),
        ]
      : []),
  ];
}
