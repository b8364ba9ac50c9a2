import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { DatabaseServer } from '../../../scripts/cluster/contract.ts';
import { startRedis } from '../../../scripts/cluster/redis/redis.ts';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { inParallel } from '../../../scripts/support/inParallel.ts';
import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { enablePrecheckNow } from '../../../scripts/support/tiers.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { startLateRedis } from '../../support/wire/lateRedis.ts';
import {
  allServe,
  askServer,
  refusedBy,
  refusedEarly,
  restockAfterSellOut,
  sellOut,
} from '../../support/systems/precheckGateway.ts';
import { redisBench } from '../../support/systems/redisBench.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const START_MS = 180_000;
const SHARDS = 2;
/** SKUs that are sold out, restocked and sold out again, at the same time. */
const ROUNDS = LONG ? 200 : 8;
const SKUS = 6;
const RESTOCKS = LONG ? 35 : 1;
const FAULT_MS = LONG ? 60_000 : 1_500;
/** Units of one restock. */
const UNITS = 3;
const hasReplicas =
  process.env['STOCKGATE_SERVER'] !== 'mariadb' &&
  process.env['STOCKGATE_MYSQL_SERVERS'] === undefined &&
  process.env['STOCKGATE_MYSQL_IMAGE'] === undefined;

describe('tiers', function () {
  this.timeout(LONG ? 900_000 : 120_000);
  let stack: Stack;
  let redis: RedisProcess;
  let replica: DatabaseServer | undefined;
  let gateways: TestGateway[] = [];
  const at = (gateway: number): TestGateway => gateways[gateway % gateways.length]!;

  /** @param ports of proxies before Redis, one for each gateway; absent: a direct connection */
  const open = async (tiers: string, count: number, ports: readonly number[] = []): Promise<void> => {
    const environment = (gateway: number) => ({
      STOCKGATE_PRECHECK: tiers,
      STOCKGATE_REDIS: `redis://127.0.0.1:${ports[gateway] ?? redis.port}`,
    });
    gateways = await Promise.all(
      Array.from({ length: count }, (_, gateway) => startTestGateway(environment(gateway), stack)),
    );
    await Promise.all(gateways.map(allServe));
  };
  const close = async (): Promise<void> =>
    void (await Promise.all(gateways.splice(0).map((gateway) => gateway.stop())));

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    redis = await startRedis(command, directory);
    stack = await startStack({
      servers: 1,
      shardCount: SHARDS,
      dataDirectory: '.local',
      onProgress: () => undefined,
      ...(hasReplicas ? { replicas: 1 } : {}),
    });
    replica = stack.cluster.servers[0]?.replicas[0];
    await enablePrecheckNow(stack);
  });
  after(async () => {
    await close();
    await stack?.stop();
    await redis?.stop();
  });
  afterEach(close);

  it('refuse through Redis alone, also by readings of another gateway, and never an id that was accepted', async () => {
    await open('redis', 2);
    const sku_id = fresh('in redis');
    const sold = await sellOut(at(0), sku_id, 5);
    await Promise.all([refusedEarly(at(0), sku_id, 'redis'), refusedEarly(at(1), sku_id, 'redis')]);
    for (const order_detail_id of sold)
      expect((await at(1).deduct({ sku_id, order_detail_id, quantity: 1 })).body).to.include({ replayed: true });
  });

  it(`never refuse an order that another gateway accepted while Redis writes come late: ${ROUNDS} rounds`, async () => {
    const proxies = await Promise.all([0, 1, 2].map(() => startLateRedis(redis, { share: 0.5, lateMsMax: 1_500 })));
    try {
      await open(
        'redis',
        3,
        proxies.map(({ port }) => port),
      );
      await inParallel(
        Array.from({ length: ROUNDS }, (_, round) => round),
        8,
        (round) => restockAfterSellOut(gateways, round, 'redis'),
      );
      for (const { delivered } of proxies)
        expect(delivered.late, 'writes that were late').to.be.above(delivered.stored);
    } finally {
      await close();
      await Promise.all(proxies.map((proxy) => proxy.close()));
    }
  });

  if (hasReplicas) {
    it('refuse through replicas alone', async () => {
      await open('replica', 1);
      const sku_id = fresh('on a replica');
      const sold = await sellOut(at(0), sku_id, 5);
      await refusedEarly(at(0), sku_id, 'replica');
      const { shards = [] } = (await at(0).adminGet('/v1/shards')).body as {
        shards?: { replicas: { state: string; lag_ms: number }[] }[];
      };
      expect(shards.map(({ replicas }) => replicas.map(({ state }) => state))).to.deep.equal(
        Array.from({ length: SHARDS }, () => ['following']),
      );
      for (const { replicas } of shards) expect(replicas[0]?.lag_ms).to.be.within(0, 2_000);
      for (const order_detail_id of sold)
        expect((await at(0).deduct({ sku_id, order_detail_id, quantity: 1 })).body).to.include({ replayed: true });
    });
  }

  interface Fault {
    readonly name: string;
    begin(): Promise<unknown>;
    end(): Promise<unknown>;
  }
  const nothing = (): Promise<void> => Promise.resolve();
  const overwrite = async (): Promise<void> => {
    for (const key of (await redis.ask('KEYS', '*')) as string[]) {
      await redis.ask('SET', key, JSON.stringify({ leaved_amount: 0, isEmpty: true, version: 9e15 }));
    }
  };
  const ofReplica = (sql: string) => (replica === undefined ? nothing() : askServer(replica, sql));
  const FAULTS: readonly Fault[] = [
    { name: 'nothing is wrong', begin: nothing, end: nothing },
    { name: 'Redis is killed', begin: async () => redis.signal('SIGKILL'), end: () => redis.startAgain() },
    { name: 'Redis is frozen', begin: async () => redis.signal('SIGSTOP'), end: async () => redis.signal('SIGCONT') },
    { name: 'Redis is emptied', begin: () => redis.ask('FLUSHALL'), end: nothing },
    { name: 'Redis is filled with wrong values', begin: overwrite, end: overwrite },
    ...(hasReplicas
      ? [
          {
            name: 'replication is stopped',
            begin: () => ofReplica('STOP REPLICA SQL_THREAD'),
            end: () => ofReplica('START REPLICA SQL_THREAD'),
          },
          {
            name: 'replicas are frozen',
            begin: async () => replica?.signal('SIGSTOP'),
            end: async () => replica?.signal('SIGCONT'),
          },
          {
            name: 'replicas are dead',
            begin: async () => replica?.signal('SIGKILL'),
            end: async () => replica?.start(),
          },
        ]
      : []),
  ];

  /** Of orders for SKUs that are mostly sold out, by fault; the first entry is without a fault. */
  const p99Ms = new Map<string, number>();
  after(() => {
    const [control = 1] = p99Ms.values();
    if (LONG)
      for (const [name, ms] of p99Ms)
        console.error(`p99 while ${name}: ${ms.toFixed(1)} ms, ${(ms / control).toFixed(2)} of the first`);
  });

  for (const { name, begin, end } of FAULTS) {
    it(`refuse no order that could be sold and leave no unit unsold while ${name}`, async () => {
      await open('memory,redis,replica'.replace(hasReplicas ? '' : ',replica', ''), 3);
      const sku_ids = Array.from({ length: SKUS }, () => fresh('tiered'));
      await Promise.all(sku_ids.map((sku_id) => sellOut(at(0), sku_id, 1)));
      await Promise.all(sku_ids.map((sku_id) => refusedEarly(at(1), sku_id)));
      let isOver = false;
      const tookMs: number[] = [];
      const asking = inParallel(sku_ids, SKUS, async (sku_id) => {
        for (let asked = 0; !isOver; asked += 1) {
          const askedMs = performance.now();
          const { status } = await at(asked).deduct({ sku_id, order_detail_id: `asked-${asked}`, quantity: 1_000 });
          tookMs.push(performance.now() - askedMs);
          expect(status).to.be.oneOf([409, 503]);
          await sleep(15);
        }
      });
      const refusedNow = async (): Promise<number> =>
        (
          await Promise.all(
            gateways.flatMap((gateway) => ['memory', 'redis', 'replica'].map((tier) => refusedBy(gateway, tier))),
          )
        ).reduce((sum, count) => sum + count, 0);
      const refusedBefore = await refusedNow();
      await begin();
      const faulty = sleep(FAULT_MS).then(end);
      await inParallel(sku_ids, SKUS, async (sku_id) => {
        for (let restock = 0; restock < RESTOCKS; restock += 1) {
          const adjustment = { adjustment_id: `more-${restock}`, delta: UNITS };
          const restocked = performance.now();
          await eventually(
            'it is restocked',
            10_000,
            async () => (await at(restock).adminPost(`/v1/skus/${sku_id}/adjustments`, adjustment)).status < 300,
          );
          for (let unit = 0; unit < UNITS; unit += 1) {
            const line = { sku_id, order_detail_id: `wanted-${restock}-${unit}`, quantity: 1 };
            await eventually('it is sold', 10_000, async () => (await at(unit).deduct(line)).status === 201);
            if (unit === 0)
              expect(performance.now() - restocked, 'sold before all readings of the sell-out are too old').to.be.above(
                900,
              );
            // As if the reply was lost: the same ids are sent again at once, to both other gateways.
            const again = await Promise.all([at(unit + 1).deduct(line), at(unit + 2).deduct(line)]);
            for (const { status, text } of again) expect(status, text).to.be.oneOf([200, 503]);
          }
        }
      });
      await faulty;
      isOver = true;
      await asking;
      for (const sku_id of sku_ids)
        expect((await at(0).get(`/v1/skus/${sku_id}`)).body).to.include({ leaved_amount: 0 });
      expect(await refusedNow(), 'refused by tiers').to.be.above(refusedBefore);
      p99Ms.set(name, tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0);
    });
  }
});
