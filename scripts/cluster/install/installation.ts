export type ServerKind = 'mysql' | 'mariadb';

/** A MySQL or MariaDB server program that can be run. */
export interface Installation {
  kind: ServerKind;
  /** The full version, as the program prints it: '9.7.4-2', '10.11.18-MariaDB-0+deb12u1'. */
  version: string;
  /** Its origin, for messages: 'private copy from Debian unstable'. */
  origin: string;
  /** The program, and the arguments that precede the server's own. */
  command: readonly [string, ...string[]];
  /** The server's arguments with the paths of its files. */
  arguments: readonly string[];
  /** Folders that may hold MariaDB's system table scripts. */
  shareDirectories: readonly string[];
}

const OLDEST: Record<ServerKind, readonly [number, number]> = { mysql: [8, 0], mariadb: [10, 6] };

/**
 * Reads the output of `mysqld --version`.
 *
 * @throws when it is neither product, or too old.
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
