import { queryOnce } from './queryOnce.ts';
import type { Cluster, ClusterOptions, PrimaryServer } from './contract.ts';
import type { NamedServers } from './environment.ts';
import { identify, productName } from './install/installation.ts';

const ANSWER_LIMIT_MS = 5_000;

/**
 * The servers that the environment names. They are used as they are: never started, stopped or signalled.
 *
 * @throws when there are too few, or one does not answer or is another product than asked for.
 */
export async function useNamedServers(
  named: NamedServers,
  options: Required<Pick<ClusterOptions, 'servers' | 'kind'>>,
): Promise<Cluster> {
  if (named.addresses.length < options.servers) {
    throw new Error(`STOCKGATE_MYSQL_SERVERS names ${named.addresses.length} of the ${options.servers} servers needed`);
  }
  const logins = named.addresses
    .slice(0, options.servers)
    .map((address) => ({ ...address, user: named.user, password: named.password }));
  const products = await Promise.all(
    logins.map(async (login) => {
      const name = `${login.host}:${login.port}, named in STOCKGATE_MYSQL_SERVERS,`;
      const row = await queryOnce(login, 'SELECT VERSION() AS version', ANSWER_LIMIT_MS).catch((error: Error) => {
        throw new Error(`${name} does not answer: ${error.message}`);
      });
      const identity = identify(`Ver ${row.version}`);
      if (options.kind !== 'auto' && options.kind !== identity.kind) {
        throw new Error(`${name} is ${productName(identity)}, not ${options.kind}`);
      }
      return productName(identity);
    }),
  );
  const refuse = (): never => {
    throw new Error('a server named in STOCKGATE_MYSQL_SERVERS is never started, stopped or signalled');
  };
  const servers = logins.map((login): PrimaryServer => ({
    ...login,
    pid: undefined,
    start: async () => refuse(),
    stop: async () => refuse(),
    signal: refuse,
    replicas: [],
  }));
  return {
    product: `${[...new Set(products)].join(' and ')}, named in the environment`,
    servers,
    stop: async () => {},
  };
}
