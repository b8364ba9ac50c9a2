export type ServerKind = 'mysql' | 'mariadb';

/** A MySQL or MariaDB server that can be run, wherever its files are. */
export interface Installation {
  kind: ServerKind;
  /** In full, as it prints it: '9.7.4-2', '10.11.18-MariaDB-0+deb12u1'. */
  version: string;
  /** Where it came from, for people: 'private copy from Debian unstable'. */
  origin: string;
  /** The program, and what must precede the server's own arguments. */
  command: readonly [string, ...string[]];
  /** The server's arguments that say where its files are. */
  arguments: readonly string[];
  /** Folders that may hold MariaDB's system table scripts. */
  shareDirectories: readonly string[];
}

const OLDEST: Record<ServerKind, readonly [number, number]> = { mysql: [8, 0], mariadb: [10, 6] };

/**
 * Reads what `mysqld --version` printed.
 *
 * @throws when it is neither product, or too old to serve.
 */
export function identify(printed: string): { kind: ServerKind; version: string } {
  const version = /\bVer (\d+\.\d+\S*)/.exec(printed)?.[1];
  if (version === undefined) throw new Error(`not a server's version: ${printed.trim()}`);
  const kind = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST[kind];
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new Error(`${productName({ kind, version })} is older than ${oldestMajor}.${oldestMinor}`);
  }
  return { kind, version };
}

/** 'MySQL 9.7.4', 'MariaDB 10.11.18'. */
export function productName(product: { kind: ServerKind; version: string }): string {
  const numbers = /^[\d.]+/.exec(product.version)?.[0] ?? product.version;
  return `${product.kind === 'mysql' ? 'MySQL' : 'MariaDB'} ${numbers}`;
}
