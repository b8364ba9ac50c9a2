/** Finds, starts and stops database servers for the demo, for local work and for tests. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { manageContainer } from './container.ts';
import type { Cluster, ClusterOptions } from './contract.ts';
import { readEnvironment } from './environment.ts';
import { startReplication } from './startReplication.ts';
import { productName } from './install/installation.ts';
import { findServer, productOf } from './install/findServer.ts';
import type { FoundServer } from './install/findServer.ts';
import { useNamedServers } from './named.ts';
import { claimDirectory, ownPath, readStamp, removeAbandoned } from './ownership.ts';
import { manageServer } from './server.ts';
import type { ManagedServer, ManagedServerOptions } from './server.ts';
import type { ReplicationSettings } from './settings.ts';
import { copyTemplate } from './install/template.ts';
import type { DataOrigin } from './install/template.ts';

/**
 * Starts database servers and waits until each answers. They die with this process, however it ends. If the environment
 * names servers, those are used as they are instead: `keep` and `extraArguments` have no effect on them.
 *
 * @throws when no server could be had, with the list of attempts, or when one does not start, with the end of its log.
 *   No server keeps running then.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { kind: kindNamed, named, debianMirror, image } = readEnvironment(process.env);
  const kind = options.kind ?? kindNamed;
  const hasReplicas = (options.replicas ?? 0) > 0;
  if (named !== undefined) {
    if (hasReplicas)
      throw new Error(
        'replicas are not made for servers named in STOCKGATE_MYSQL_SERVERS: name your replicas in the shards file',
      );
    const cluster = await useNamedServers(named, { servers: options.servers, kind });
    options.onProgress(`using ${cluster.product}`);
    return cluster;
  }
  const dataDirectory = resolve(options.dataDirectory);
  await Promise.all(['copies', 'templates', 'runs'].map((part) => removeAbandoned(join(dataDirectory, part))));
  const found = await findServer({ kind, dataDirectory, debianMirror, image, say: options.onProgress });
  const product = `${productName(productOf(found))}, ${productOf(found).origin}`;
  options.onProgress(`using ${product}`);
  if (hasReplicas && 'image' in found) throw new Error(`replicas are not made in containers, and this is ${product}`);
  if (hasReplicas && productOf(found).kind !== 'mysql')
    throw new Error(`replicas are built for MySQL only, and this is ${product}`);
  if (options.keep === undefined) {
    const directory = ownPath(join(dataDirectory, 'runs', 'run'));
    return startServers(options, {
      found,
      product,
      directory,
      release: () => rm(directory, { recursive: true, force: true }),
    });
  }
  const directory = join(dataDirectory, 'kept', options.keep);
  const release = await claimDirectory(directory);
  await removeAbandoned(directory);
  return startServers(options, { found, product, directory, release });
}

interface Place {
  found: FoundServer;
  product: string;
  /** The folder of the servers' data. */
  directory: string;
  /** To be called when no server uses the folder any more. */
  release: () => Promise<void>;
}

async function startServers(options: ClusterOptions, place: Place): Promise<Cluster> {
  const groups = planServers(options, place);
  const all = groups.flatMap(({ primary, replicas }) => [primary, ...replicas]);
  const stop = async (): Promise<void> => {
    await Promise.all(
      all.map(async ({ server }) => {
        // Data that will be deleted need no orderly shutdown.
        if (options.keep !== undefined) await server.stop();
        await server.kill();
      }),
    );
    await place.release();
  };
  const followers = all.length - groups.length;
  options.onProgress(
    `starting ${count(groups.length, 'server')}${followers > 0 ? ` and ${count(followers, 'replica')}` : ''}`,
  );
  const start = async ({ server, home }: Planned): Promise<void> => {
    await provideData(place, home);
    await server.start();
  };
  // Waits for all starts, failed ones too, so that no server is still starting when all are stopped.
  const starts = await Promise.allSettled(groups.map(({ primary }) => start(primary)));
  const failed = (): PromiseRejectedResult | undefined => starts.find((completed) => completed.status === 'rejected');
  if (failed() === undefined)
    starts.push(...(await Promise.allSettled(groups.flatMap(({ replicas }) => replicas.map(start)))));
  const failure = failed();
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  const servers = groups.map(({ primary, replicas }) =>
    Object.assign(primary.server, { replicas: replicas.map(({ server }) => server) }),
  );
  return { product: place.product, servers, stop };
}

/** A server and the folder of its data. */
interface Planned {
  server: ManagedServer;
  home: string;
}

function planServers(options: ClusterOptions, place: Place): { primary: Planned; replicas: Planned[] }[] {
  const { servers, replicas = 0, semiSync = false } = options;
  const { found } = place;
  const manage = (
    home: string,
    serverId: number,
    role: ReplicationSettings['role'],
    whenUp?: ManagedServerOptions['onStarted'],
  ): ManagedServer => {
    const settings = {
      serverId,
      bufferPoolMegabytes: servers + replicas === 1 ? 128 : 64,
      extraArguments: options.extraArguments ?? [],
    };
    if ('image' in found)
      return manageContainer({ ...settings, image: found.image, home: options.keep === undefined ? undefined : home });
    return manageServer({
      ...settings,
      installation: found.installation,
      dataDirectory: join(home, 'data'),
      ...(replicas > 0 && { replication: { role, semiSync } }),
      ...(whenUp !== undefined && { onStarted: whenUp }),
    });
  };
  return Array.from({ length: servers }, (_, index) => {
    const home = join(place.directory, `server-${index + 1}`);
    const server = manage(home, index + 1, 'source');
    return {
      primary: { server, home },
      replicas: Array.from({ length: replicas }, (__, number) => {
        const place = `${home}-replica-${number + 1}`;
        const serverId = servers + index * replicas + number + 1;
        return { server: manage(place, serverId, 'replica', (login) => startReplication(login, server)), home: place };
      }),
    };
  });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

async function provideData(place: Place, home: string): Promise<void> {
  const made = await readStamp<DataOrigin>(home);
  const { found } = place;
  if (made === undefined) return 'image' in found ? undefined : copyTemplate(found.template, home);
  if (made.volume !== undefined && !('image' in found))
    throw new Error(`the data of ${home} are in containers: delete it, or name their image in STOCKGATE_MYSQL_IMAGE`);
  if (made.kind !== productOf(found).kind) {
    const remedy = `delete it, or set STOCKGATE_SERVER=${made.kind}`;
    throw new Error(`${home} was made by ${productName(made)} and cannot be used by ${place.product}: ${remedy}`);
  }
}
