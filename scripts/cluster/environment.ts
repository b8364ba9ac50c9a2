import type { ServerKind } from './install/installation.ts';

export interface ClusterEnvironment {
  kind: 'auto' | ServerKind;
  /** Servers to use as they are; undefined: find or fetch one. */
  named: NamedServers | undefined;
  /** Use only containers of this image; undefined: use containers only where no other server can be had. */
  image: string | undefined;
  /** A Debian mirror to use instead of the machine's own. */
  debianMirror: string | undefined;
}

export interface NamedServers {
  addresses: readonly { host: string; port: number }[];
  user: string;
  password: string;
}

/**
 * Reads the STOCKGATE_ variables that choose the database servers.
 *
 * @throws with the name of the variable that is wrong or missing.
 */
export function readEnvironment(variables: NodeJS.ProcessEnv): ClusterEnvironment {
  const kind = variables.STOCKGATE_SERVER || 'auto';
  if (kind !== 'auto' && kind !== 'mysql' && kind !== 'mariadb') {
    throw new Error(`STOCKGATE_SERVER is '${kind}'; it may be auto, mysql or mariadb`);
  }
  const image = variables.STOCKGATE_MYSQL_IMAGE || undefined;
  const named = readNamed(variables);
  if (image !== undefined && named !== undefined)
    throw new Error('STOCKGATE_MYSQL_SERVERS and STOCKGATE_MYSQL_IMAGE both choose the servers: set only one of them');
  return {
    kind,
    named,
    image,
    debianMirror: variables.STOCKGATE_DEBIAN_MIRROR || undefined,
  };
}

function readNamed(variables: NodeJS.ProcessEnv): NamedServers | undefined {
  const list = variables.STOCKGATE_MYSQL_SERVERS;
  if (!list) return undefined;
  const user = variables.STOCKGATE_MYSQL_USER;
  if (!user) throw new Error('STOCKGATE_MYSQL_SERVERS is set, but STOCKGATE_MYSQL_USER is not');
  const addresses = list.split(',').map((entry) => {
    const [, host, port] = /^\s*\[?([^\s[\]]+?)\]?:(\d{1,5})\s*$/.exec(entry) ?? [];
    if (host === undefined || Number(port) > 65535)
      throw new Error(`STOCKGATE_MYSQL_SERVERS: '${entry}' is not host:port`);
    return { host, port: Number(port) };
  });
  return { addresses, user, password: variables.STOCKGATE_MYSQL_PASSWORD ?? '' };
}
