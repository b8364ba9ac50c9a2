import { expect } from 'chai';
import type { RedisProcess } from '../../scripts/cluster/redis.ts';
import { MASTER_NAME, startRedisCluster, startSentinelSet } from '../../scripts/cluster/redisSets.ts';
import type { SentinelSet } from '../../scripts/cluster/redisSets.ts';
import { PART_COUNT, partOf, PartKeys } from '../../src/redis/parts.ts';
import type { RedisSights } from '../../src/redis/redisSights.ts';
import { eventually } from '../support/eventually.ts';
import { fresh } from '../support/gateway.ts';
import {
  COMMAND_MS,
  gateway,
  keyOf,
  knownOf,
  noteUntilKnown,
  PREFIX,
  ready,
  redisBench,
  sightOf,
  stopGateways,
} from '../support/redisBench.ts';

const LATE_MS = 400;
const START_MS = 120_000;
/** For a failover: noticed, agreed upon, done, and found by the gateway. */
const FAILOVER_MS = 25_000;

describe('sights in a Redis Cluster', () => {
  let nodes: RedisProcess[];
  let a: RedisSights;
  let b: RedisSights;

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    nodes = await startRedisCluster(command, directory);
    [a, b] = await Promise.all([gateway(nodes, { mode: 'cluster' }), gateway(nodes, { mode: 'cluster' })]);
  });
  after(async () => {
    await stopGateways();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  it('spreads SKUs over the nodes, and one that is killed takes its own with it, no others', async () => {
    const sku_ids = Array.from({ length: 120 }, () => fresh('sku'));
    const countKnown = async (): Promise<number> =>
      (await b.look(sku_ids, performance.now() + 1_000)).filter((sight) => sight !== null).length;
    const noteAll = (): Promise<void> => a.note(sku_ids.map((sku_id) => sightOf(sku_id)));
    await eventually('all are known', 10_000, async () => {
      await noteAll();
      return (await countKnown()) === sku_ids.length;
    });
    const [lost, ...left] = nodes;
    // Whoever does not own a key says so by an error.
    const parts = Array.from({ length: PART_COUNT }, (_, part) => part);
    const owns = async (part: number): Promise<boolean> =>
      (await lost?.ask('EXISTS', new PartKeys(PREFIX, part).era).then(
        () => true,
        () => false,
      )) ?? false;
    const isOwned = await Promise.all(parts.map(owns));
    const ownedCount = sku_ids.filter((sku_id) => isOwned[partOf(sku_id)]).length;
    await noteAll();
    expect(ownedCount).to.be.within(10, 80);
    for (const node of left) expect(Number(await node.ask('DBSIZE'))).to.be.above(10);

    lost?.signal('SIGKILL');
    await eventually('the others are known', 10_000, async () => {
      await noteAll();
      const startedMs = performance.now();
      const count = await countKnown();
      expect(performance.now() - startedMs).to.be.below(COMMAND_MS + LATE_MS);
      expect(count).to.be.at.most(sku_ids.length - ownedCount);
      return count === sku_ids.length - ownedCount;
    });
    await lost?.startAgain();
    await eventually('all are known again', 15_000, async () => {
      await noteAll();
      return (await countKnown().catch(() => 0)) === sku_ids.length;
    });
  });
});

describe('sights behind Sentinels', () => {
  let set: SentinelSet;
  let a: RedisSights;
  let b: RedisSights;

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    set = await startSentinelSet(command, directory);
    const more = { mode: 'sentinel', sentinelName: MASTER_NAME } as const;
    [a, b] = await Promise.all([gateway(set.sentinels, more), gateway(set.sentinels, more)]);
  });
  after(async () => {
    await stopGateways();
    await Promise.all([set.master, set.replica, ...set.sentinels].map((node) => node.stop()));
  });

  it('follows a failover, and believes nothing that the old master was told', async () => {
    const sku_id = fresh('sku');
    await noteUntilKnown(a, b, sku_id, { version: 3 });
    await eventually('the replica has it', 5_000, async () => (await set.replica.ask('EXISTS', keyOf(sku_id))) === 1);
    // Without an end, it would still be there after the failover.
    await set.master.ask('PERSIST', keyOf(sku_id));
    await eventually('the replica keeps it', 5_000, async () => (await set.replica.ask('PTTL', keyOf(sku_id))) === -1);
    set.master.signal('SIGKILL');
    await eventually('the replica is the master', FAILOVER_MS, async () => {
      expect(await knownOf(b, sku_id)).to.equal(null);
      // It cuts its connections when it becomes the master.
      return String(await set.replica.ask('ROLE').catch(() => '')).startsWith('master');
    });
    await eventually('gateways found it', FAILOVER_MS, async () => {
      expect(await knownOf(b, sku_id)).to.equal(null);
      return b.state().nodes > 1 && b.state().watchedParts > 0;
    });
    await Promise.all([ready(a), ready(b)]);
    expect(await set.replica.ask('EXISTS', keyOf(sku_id))).to.equal(1);
    expect(await knownOf(b, sku_id)).to.equal(null);
    await noteUntilKnown(a, b, sku_id, { version: 1 });
  });
});
