import { setTimeout as sleep } from 'node:timers/promises';
import { DOWN_MS, HOST, startRedis, startSentinel } from './redis.ts';
import type { RedisProcess } from './redis.ts';
import { freePort } from '../port.ts';
import type { Command } from '../install/tools.ts';

/** Slots of a Redis Cluster. */
const SLOTS = 16_384;
const MASTERS = 3;
const READY_MS = 15_000;
const POLL_MS = 50;
/** The name of the master at the Sentinels. */
export const MASTER_NAME = 'stock';

/** A master, its replica, and the Sentinels that promote the replica when the master is down. */
export interface SentinelSet {
  readonly master: RedisProcess;
  readonly replica: RedisProcess;
  readonly sentinels: readonly RedisProcess[];
}

/** Starts a Cluster of three masters that share the slots. When one is down, only its own slots are unavailable. */
export async function startRedisCluster(command: Command, directory: string): Promise<RedisProcess[]> {
  /** The ports for the traffic between the nodes. */
  const busPorts = await Promise.all(Array.from({ length: MASTERS }, freePort));
  const start = (busPort: number): Promise<RedisProcess> =>
    startRedis(command, directory, [
      ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', String(DOWN_MS)],
      ...['--cluster-require-full-coverage', 'no'],
    ]);
  const nodes = await Promise.all(busPorts.map(start));
  const each = Math.ceil(SLOTS / MASTERS);
  for (const [place, node] of nodes.entries()) {
    await node.ask('CLUSTER', 'ADDSLOTSRANGE', String(place * each), String(Math.min(SLOTS, (place + 1) * each) - 1));
    await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(place + 1));
  }
  for (const [place, { port }] of nodes.entries())
    await nodes[0]?.ask('CLUSTER', 'MEET', HOST, String(port), String(busPorts[place]));
  await untilAll(nodes, 'the Cluster', async (node) => {
    const info = String(await node.ask('CLUSTER', 'INFO'));
    return (
      info.includes('cluster_state:ok') &&
      info.includes(`cluster_known_nodes:${MASTERS}`) &&
      info.includes(`cluster_slots_ok:${SLOTS}`)
    );
  });
  return nodes;
}

/** Starts a master, a replica that has caught up, and `sentinelCount` Sentinels that have found both. */
export async function startSentinelSet(command: Command, directory: string, sentinelCount = 1): Promise<SentinelSet> {
  const master = await startRedis(command, directory, ['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis(command, directory, [
    '--replicaof',
    `${HOST} ${master.port}`,
    '--repl-diskless-sync-delay',
    '0',
  ]);
  const quorum = Math.floor(sentinelCount / 2) + 1;
  const sentinels = await Promise.all(
    Array.from({ length: sentinelCount }, () =>
      startSentinel(command, directory, { name: MASTER_NAME, port: master.port, quorum }),
    ),
  );
  await untilAll([replica], 'the replica', async (node) =>
    String(await node.ask('INFO', 'replication')).includes('master_link_status:up'),
  );
  await untilAll(sentinels, 'the Sentinels', async (node) => {
    const replicas = await node.ask('SENTINEL', 'REPLICAS', MASTER_NAME);
    return Array.isArray(replicas) && replicas.length === 1;
  });
  return { master, replica, sentinels };
}

async function untilAll(
  nodes: readonly RedisProcess[],
  what: string,
  isReady: (node: RedisProcess) => Promise<boolean>,
): Promise<void> {
  const untilMs = performance.now() + READY_MS;
  for (const node of nodes) {
    while (!(await isReady(node).catch(() => false))) {
      if (performance.now() > untilMs) throw new Error(`${what}: not ready within ${READY_MS / 1_000} s`);
      await sleep(POLL_MS);
    }
  }
}
