/** Database servers for the demo, for work on this machine and for tests: which, where, started and stopped. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Cluster, ClusterOptions } from './contract.ts';
import { readEnvironment } from './environment.ts';
import { productName } from './installation.ts';
import { findServer } from './ladder.ts';
import type { Found } from './ladder.ts';
import { useNamed } from './named.ts';
import { claim, ownPath, readStamp, removeAbandoned } from './ownership.ts';
import { manageServer } from './server.ts';
import { copyTemplate } from './template.ts';
import type { MadeBy } from './template.ts';

/**
 * Starts database servers and waits until each answers; they die with this process, however it ends. Those that the
 * environment names are used as they are instead: `keep` and `extraArguments` do not concern them.
 *
 * @throws when no server could be had, with all that was tried, or when one does not start, with the end of its log;
 *   nothing is left running then.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { kind: kindNamed, named, debianMirror } = readEnvironment(process.env);
  const kind = options.kind ?? kindNamed;
  if (named !== undefined) {
    const cluster = await useNamed(named, { servers: options.servers, kind });
    options.say(`using ${cluster.product}`);
    return cluster;
  }
  const dataDirectory = resolve(options.dataDirectory);
  await Promise.all(['copies', 'templates', 'runs'].map((part) => removeAbandoned(join(dataDirectory, part))));
  const found = await findServer({ kind, dataDirectory, debianMirror, say: options.say });
  const product = `${productName(found.installation)}, ${found.installation.origin}`;
  options.say(`using ${product}`);
  if (options.keep === undefined) {
    const directory = ownPath(join(dataDirectory, 'runs', 'run'));
    return startServers(options, { found, product, directory, release: () => rm(directory, { recursive: true, force: true }) });
  }
  const directory = join(dataDirectory, 'kept', options.keep);
  const release = await claim(directory);
  await removeAbandoned(directory);
  return startServers(options, { found, product, directory, release });
}

interface Place {
  found: Found;
  product: string;
  /** For the servers' data. */
  directory: string;
  /** To be called when no server uses it any more. */
  release: () => Promise<void>;
}

async function startServers(options: ClusterOptions, place: Place): Promise<Cluster> {
  const { installation, template } = place.found;
  const homes = Array.from({ length: options.servers }, (_, index) => join(place.directory, `server-${index + 1}`));
  const servers = homes.map((home, index) => manageServer({
    installation,
    dataDirectory: join(home, 'data'),
    serverId: index + 1,
    bufferPoolMegabytes: homes.length === 1 ? 128 : 64,
    extraArguments: options.extraArguments ?? [],
  }));
  const stop = async (): Promise<void> => {
    // Data that are to be deleted need no orderly shutdown.
    await Promise.all(servers.map((server) => (options.keep === undefined ? server.kill() : server.stop())));
    await place.release();
  };
  options.say(`starting ${servers.length} ${servers.length === 1 ? 'server' : 'servers'}`);
  // All are waited for, the failed too, so that nothing is still being started when everything is stopped.
  const starts = await Promise.allSettled(servers.map(async (server, index) => {
    await provideData(place, homes[index] ?? '', template);
    await server.start();
  }));
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { product: place.product, servers, stop };
}

async function provideData(place: Place, home: string, template: string): Promise<void> {
  const made = await readStamp<MadeBy>(home);
  if (made === undefined) return copyTemplate(template, home);
  if (made.kind !== place.found.installation.kind) {
    const remedy = `delete it, or set STOCKGATE_SERVER=${made.kind}`;
    throw new Error(`${home} was made by ${productName(made)}, not to be read by ${place.product}: ${remedy}`);
  }
}
