import type { RedisOptions } from './options.ts';

/** The address of Redis, and whether it is a single server, a Cluster or a set of Sentinels. */
export type RedisAddress = Pick<RedisOptions, 'mode' | 'nodes' | 'sentinelName' | 'username'>;

const FORMS =
  'redis://[user@]host:port, redis+cluster://[user@]host:port,host:port… or ' +
  'redis+sentinel://[user@]host:port,host:port…/NAME';

/**
 * Parses the address of Redis. It has no password, because it may appear in a log.
 *
 * @throws RangeError that names the accepted forms
 */
export function parseRedisAddress(text: string): RedisAddress {
  const [, kind, username, hosts = '', sentinelName] =
    /^redis(\+cluster|\+sentinel)?:\/\/(?:([^@:/]+)@)?([^/@]+?)(?:\/([\w.-]+))?$/.exec(text) ?? [];
  const nodes = hosts.split(',').map((each) => {
    const [, host = '', port = ''] = /^(\[[0-9a-f:]+\]|[\w.-]+):(\d{1,5})$/i.exec(each) ?? [];
    return { host: host.replaceAll(/[[\]]/g, ''), port: Number(port) };
  });
  const mode = kind === '+cluster' ? 'cluster' : kind === '+sentinel' ? 'sentinel' : 'single';
  const isValid =
    nodes.every(({ host, port }) => host !== '' && port > 0 && port < 65_536) &&
    (mode !== 'single' || nodes.length === 1) &&
    (mode === 'sentinel') === (sentinelName !== undefined);
  if (!isValid) throw new RangeError(`must be ${FORMS}`);
  return {
    mode,
    nodes,
    ...(sentinelName === undefined ? {} : { sentinelName }),
    ...(username === undefined ? {} : { username }),
  };
}
