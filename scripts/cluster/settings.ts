import type { Installation, ServerKind } from './install/installation.ts';

/** The account of every server that we start: all privileges, from this machine only, over throw-away data. */
export const ACCOUNT = { user: 'stockgate', password: 'stockgate-local' } as const;

export interface ServerSettings {
  dataDirectory: string;
  port: number;
  serverId: number;
  bufferPoolMegabytes: number;
  /** How long the server waits for its port, which may be taken for a moment after a kill. */
  portWaitSeconds: number;
  /** Its role in replication; absent: none. MySQL only. */
  replication?: ReplicationSettings;
}

export interface ReplicationSettings {
  role: 'source' | 'replica';
  semiSync: boolean;
}

/** How long a commit waits for a replica before the server continues without one. */
const SEMI_SYNC_TIMEOUT_MS = 1_000;
/** A replica connects again after this long without an event of its source. The source sends heartbeats more often. */
const SILENT_SOURCE_SECONDS = 4;

const NO_PERFORMANCE_SCHEMA = '--performance-schema=OFF';

/** The first arguments of every server process, with the folder of its data. */
export function baseArguments(installation: Installation, dataDirectory: string): string[] {
  return [
    '--no-defaults',
    ...installation.arguments,
    `--datadir=${dataDirectory}`,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    NO_PERFORMANCE_SCHEMA,
    // The default of the packages is a system folder, which a private copy does not have.
    ...(installation.kind === 'mysql'
      ? ['--auto-generate-certs=OFF', '--secure-file-priv=NULL']
      : // A server that starts deletes all temporary tables in this folder, so it must share the folder with no other.
        [`--tmpdir=${dataDirectory}`]),
  ];
}

/**
 * The settings of a server, on this machine or in a container. Durability and isolation are as in production, so that
 * tests and benchmarks run under the same conditions; only sizes are small.
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
    // 'loose': MySQL before 8.0.30 does not have this setting and does not need it.
    ...(kind === 'mysql'
      ? ['--mysqlx=OFF', '--loose-innodb-redo-log-capacity=64M']
      : ['--binlog-format=ROW', '--innodb-log-file-size=64M']),
  ];
}

/** The command of a server in a container. The image sets the paths of its files. */
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
    // Relative to the data directory, the working directory of the server: a socket's path is limited to 107 bytes.
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
          // The source may have another port than last time, and another process may use its old port.
          '--skip-replica-start=ON',
          '--relay-log=relay',
          '--relay-log-recovery=ON',
          // A replica commits in the order of its source, so each state of it was a state of the source.
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
