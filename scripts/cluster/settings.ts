import type { Installation } from './installation.ts';

/** The account that every server we make has: all privileges, from this machine only, over data nobody will miss. */
export const ACCOUNT = { user: 'stockgate', password: 'stockgate-local' } as const;

export interface ServerSettings {
  dataDirectory: string;
  port: number;
  serverId: number;
  bufferPoolMegabytes: number;
  /** How long to wait for the port when it is taken, as it may be for a moment after a kill. */
  portWaitSeconds: number;
}

/** What stands first on every command line of a server, and where its data are. */
export function baseArguments(installation: Installation, dataDirectory: string): string[] {
  return [
    '--no-defaults',
    ...installation.arguments,
    `--datadir=${dataDirectory}`,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    '--performance-schema=OFF',
    // The packages' default is a system folder that a private copy does not have.
    ...(installation.kind === 'mysql' ? ['--auto-generate-certs=OFF', '--secure-file-priv=NULL'] : []),
  ];
}

/**
 * The command line of a running server. What concerns durability and isolation is as it must be in production, so that
 * tests test and benchmarks measure what will run; only sizes are small.
 */
export function serverArguments(installation: Installation, settings: ServerSettings): string[] {
  return [
    ...baseArguments(installation, settings.dataDirectory),
    '--innodb-flush-log-at-trx-commit=1',
    '--sync-binlog=1',
    '--log-bin=binlog',
    `--server-id=${settings.serverId}`,
    '--default-time-zone=+00:00',
    '--max-connections=1000',
    '--skip-name-resolve',
    '--bind-address=127.0.0.1',
    `--port=${settings.port}`,
    `--port-open-timeout=${settings.portWaitSeconds}`,
    // Relative to the data directory, which the server makes its working directory: a socket's path is limited to 107 bytes.
    '--socket=mysqld.sock',
    '--pid-file=mysqld.pid',
    '--log-error=error.log',
    `--innodb-buffer-pool-size=${settings.bufferPoolMegabytes}M`,
    // 'Loose', as MySQL before 8.0.30 does not know it and can do without.
    ...(installation.kind === 'mysql'
      ? ['--mysqlx=OFF', '--loose-innodb-redo-log-capacity=64M']
      : ['--binlog-format=ROW', '--innodb-log-file-size=64M']),
  ];
}
