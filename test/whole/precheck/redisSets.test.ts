import { expect } from 'chai';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { MASTER_NAME, startRedisCluster, startSentinelSet } from '../../../scripts/cluster/redis/redisSets.ts';
import type { SentinelSet } from '../../../scripts/cluster/redis/redisSets.ts';
import { PARTITION_COUNT, partitionOf, PartitionKeys } from '../../../src/redis/partitions.ts';
import type { RedisReadings } from '../../../src/redis/redisReadings.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import {
  COMMAND_MS,
  startRedisTier,
  keyOf,
  storedReading,
  writeUntilRead,
  PREFIX,
  ready,
  redisBench,
  stockReadingOf,
  stopGateways,
} from '../../support/systems/redisBench.ts';

const LATE_MS = 400;
const START_MS = 120_000;
/** A limit for a failover: detected, agreed on, done, and found by the gateway. */
const FAILOVER_MS = 25_000;

describe('readings in a Redis Cluster', () => {
  let nodes: RedisProcess[];
  let a: RedisReadings;
  let b: RedisReadings;

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    nodes = await startRedisCluster(command, directory);
    [a, b] = await Promise.all([
      startRedisTier(nodes, { mode: 'cluster' }),
      startRedisTier(nodes, { mode: 'cluster' }),
    ]);
  });
  after(async () => {
    await stopGateways();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  it('spreads SKUs over the nodes, and loses only the SKUs of a node that is killed', async () => {
    const sku_ids = Array.from({ length: 120 }, () => fresh('sku'));
    const countReadings = async (): Promise<number> =>
      (await b.read(sku_ids, performance.now() + 1_000)).filter((reading) => reading !== null).length;
    const writeAll = (): Promise<void> => a.store(sku_ids.map((sku_id) => stockReadingOf(sku_id)));
    await eventually('all readings are returned', 10_000, async () => {
      await writeAll();
      return (await countReadings()) === sku_ids.length;
    });
    const [killed, ...left] = nodes;
    // A node that does not own a key answers with an error.
    const parts = Array.from({ length: PARTITION_COUNT }, (_, part) => part);
    const owns = async (part: number): Promise<boolean> =>
      (await killed?.ask('EXISTS', new PartitionKeys(PREFIX, part).era).then(
        () => true,
        () => false,
      )) ?? false;
    const isOwned = await Promise.all(parts.map(owns));
    const ownedCount = sku_ids.filter((sku_id) => isOwned[partitionOf(sku_id)]).length;
    await writeAll();
    expect(ownedCount).to.be.within(10, 80);
    for (const node of left) expect(Number(await node.ask('DBSIZE'))).to.be.above(10);

    killed?.signal('SIGKILL');
    await eventually('the readings of the other nodes are returned', 10_000, async () => {
      await writeAll();
      const startedMs = performance.now();
      const count = await countReadings();
      expect(performance.now() - startedMs).to.be.below(COMMAND_MS + LATE_MS);
      expect(count).to.be.at.most(sku_ids.length - ownedCount);
      return count === sku_ids.length - ownedCount;
    });
    await killed?.startAgain();
    await eventually('all readings are returned again', 15_000, async () => {
      await writeAll();
      return (await countReadings().catch(() => 0)) === sku_ids.length;
    });
  });
});

describe('readings behind Sentinels', () => {
  let set: SentinelSet;
  let a: RedisReadings;
  let b: RedisReadings;

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    set = await startSentinelSet(command, directory);
    const more = { mode: 'sentinel', sentinelName: MASTER_NAME } as const;
    [a, b] = await Promise.all([startRedisTier(set.sentinels, more), startRedisTier(set.sentinels, more)]);
  });
  after(async () => {
    await stopGateways();
    await Promise.all([set.master, set.replica, ...set.sentinels].map((node) => node.stop()));
  });

  it('follows a failover, and rejects readings that were written to the old master', async () => {
    const sku_id = fresh('sku');
    await writeUntilRead(a, b, sku_id, { version: 3 });
    await eventually('the replica has it', 5_000, async () => (await set.replica.ask('EXISTS', keyOf(sku_id))) === 1);
    // Without a time to live, the reading is still stored after the failover.
    await set.master.ask('PERSIST', keyOf(sku_id));
    await eventually('the replica keeps it', 5_000, async () => (await set.replica.ask('PTTL', keyOf(sku_id))) === -1);
    set.master.signal('SIGKILL');
    await eventually('the replica is the master', FAILOVER_MS, async () => {
      expect(await storedReading(b, sku_id)).to.equal(null);
      // The replica closes its connections when it becomes the master.
      return String(await set.replica.ask('ROLE').catch(() => '')).startsWith('master');
    });
    await eventually('the gateway has found the new master', FAILOVER_MS, async () => {
      expect(await storedReading(b, sku_id)).to.equal(null);
      return b.state().nodes > 1 && b.state().watchedPartitions > 0;
    });
    await Promise.all([ready(a), ready(b)]);
    expect(await set.replica.ask('EXISTS', keyOf(sku_id))).to.equal(1);
    expect(await storedReading(b, sku_id)).to.equal(null);
    await writeUntilRead(a, b, sku_id, { version: 1 });
  });
});
