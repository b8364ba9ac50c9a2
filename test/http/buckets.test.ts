import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startRedis } from '../../scripts/cluster/redis/redis.ts';
import type { RedisProcess } from '../../scripts/cluster/redis/redis.ts';
import { CallerLimit } from '../../src/limits/callerLimit.ts';
import { ClientCommander } from '../../src/redis/commander.ts';
import type { Commander } from '../../src/redis/commander.ts';
import { PARTITION_COUNT, PartitionKeys } from '../../src/redis/partitions.ts';
import { RequestQueue } from '../../src/redis/requestQueue.ts';
import { scriptOf, TAKE } from '../../src/redis/script.ts';
import { RedisBuckets } from '../../src/redis/sharedBuckets.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { redisBench } from '../support/systems/redisBench.ts';
import { overfullWindows, timeOf } from '../support/run/rateWindows.ts';
import type { AdmittedRequest } from '../support/run/rateWindows.ts';

const GATEWAYS = 3;
const PER_SECOND = 20;
const BURST = 30;
const KEY_PREFIX = 'buckets';
/** For a busy machine: no gateway is to fall back to a bucket of its own here. */
const PATIENT_MS = 10_000;
const WAIT_MS = 25;

describe('buckets', () => {
  let redis: RedisProcess;
  let directory: string;
  const commanders: ClientCommander[] = [];
  before(async () => {
    const bench = await redisBench();
    ({ directory } = bench);
    redis = await startRedis(bench.command, directory);
  });
  after(async () => {
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  afterEach(async () => void (await Promise.all(commanders.splice(0).map((commander) => commander.stop()))));

  const connected = async (): Promise<ClientCommander> => {
    const commander = new ClientCommander({ mode: 'single', nodes: [{ host: redis.host, port: redis.port }] });
    commanders.push(commander);
    commander.start();
    await eventually('there is a connection', 10_000, () => commander.isConnected);
    return commander;
  };
  const sharedBuckets = (commander: Commander, waitMs = PATIENT_MS) =>
    new RedisBuckets(commander, { keyPrefix: KEY_PREFIX, perSecond: PER_SECOND, burst: BURST, waitMs });
  const limitOver = (shared: RedisBuckets | null) => new CallerLimit({ perSecond: PER_SECOND, burst: BURST, shared });
  /** Sends requests to these limits in turn, in a loop with pauses of 2 ms. */
  const hammer = async (
    limits: readonly CallerLimit[],
    caller: string,
    forMs: number,
  ): Promise<(AdmittedRequest | null)[]> => {
    const asked: Promise<AdmittedRequest | null>[] = [];
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; await sleep(2)) {
      for (const limit of limits) asked.push(timeOf(() => limit.take(caller)));
    }
    return Promise.all(asked);
  };
  const countOf = (requests: readonly (AdmittedRequest | null)[]): number =>
    requests.filter((each) => each !== null).length;

  for (const where of ['of one process', 'of three, in Redis'] as const) {
    it(`admit a burst and then the rate, in every window of time: ${where}`, async () => {
      const count = where === 'of one process' ? 1 : GATEWAYS;
      const limits = await Promise.all(
        Array.from({ length: count }, async () => limitOver(count === 1 ? null : sharedBuckets(await connected()))),
      );
      const caller = fresh('caller');
      const beganMs = performance.now();
      const first = await Promise.all(
        Array.from({ length: 3 * BURST }, (_, number) => timeOf(() => limits[number % count]!.take(caller))),
      );
      const requests = [...first, ...(await hammer(limits, caller, 2_200))];
      const seconds = (performance.now() - beganMs) / 1_000;
      expect(countOf(first)).to.be.at.least(BURST);
      expect(overfullWindows(requests, PER_SECOND, BURST)).to.deep.equal([]);
      // The whole rate is admitted: no token is lost between the three gateways that share the bucket.
      expect(countOf(requests)).to.be.within(BURST + 2 * PER_SECOND - 1, BURST + PER_SECOND * seconds);
      expect(await limits[0]!.take(fresh('another'))).to.equal(true);
    });
  }

  it('are checked by a function that finds a window with too many requests', () => {
    const at = (ms: number): AdmittedRequest => ({ sentMs: ms, answeredMs: ms });
    expect(overfullWindows([at(0), at(100), at(110), null], 10, 1)).to.deep.equal([
      '3 within 0.110 s',
      '2 within 0.010 s',
    ]);
  });

  it('follow the clock of Redis, even when it is set back or ahead', async () => {
    const commander = await connected();
    // The same script, with a clock that is the given number of seconds ahead.
    const at = (ahead: number) =>
      scriptOf(TAKE.lua.replace("redis.call('TIME')", `redis.call('TIME')\ntime[1] = time[1] + ${ahead}`));
    const key = new PartitionKeys(KEY_PREFIX, 0).ofCaller(fresh('caller'));
    const take = async (ahead: number, burst = 2): Promise<number> =>
      Number(((await commander.run(at(ahead), [key], ['1', String(burst)])) as [number])[0]);
    expect([await take(0), await take(0), await take(0)]).to.deep.equal([1, 1, 0]);
    expect([await take(-3_600), await take(-3_600)], 'a clock that is set back adds no tokens').to.deep.equal([0, 0]);
    expect([await take(-3_598), await take(-3_598), await take(-3_598)], 'the rate goes on from there').to.deep.equal([
      1, 1, 0,
    ]);
    expect(
      [await take(3_600), await take(3_600), await take(3_600)],
      'a clock that is set ahead adds one burst',
    ).to.deep.equal([1, 1, 0]);
    await redis.ask('SET', key, 'nonsense');
    expect([await take(0), await take(0), await take(0)]).to.deep.equal([1, 1, 0]);
  });

  it('are removed by Redis when they are full, and by a gateway when there are too many', async () => {
    const shared = sharedBuckets(await connected());
    await redis.ask('FLUSHALL');
    const caller = fresh('caller');
    for (let taken = 0; taken < BURST; taken += 1) await shared.take(caller);
    const keyCount = async (): Promise<number> => ((await redis.ask('KEYS', '*')) as unknown[]).length;
    expect(await keyCount()).to.equal(1);
    await eventually('the key is removed', 5_000, async () => (await keyCount()) === 0);
    expect((await shared.take(caller)).left).to.equal(BURST - 1);
    const limit = limitOver(null);
    for (let number = 0; number < 60_000; number += 1) await limit.take(`caller ${number}`);
    expect(limit.callerCount).to.equal(50_000);
  });

  it('of a gateway continue from the tokens that were left while Redis is unreachable', async () => {
    const commander = await connected();
    const [one, other] = [limitOver(sharedBuckets(commander)), limitOver(sharedBuckets(await connected()))];
    const caller = fresh('caller');
    await other.take(caller);
    for (let taken = 0; taken < BURST - 1; taken += 1) await one.take(caller);
    await one.take(caller);
    await commander.stop();
    const left = await Promise.all(Array.from({ length: BURST }, () => one.take(caller)));
    expect(left.filter(Boolean).length).to.be.below(BURST / 2);
  });

  it('delay only the first request while Redis hangs, and are used again when it answers', async () => {
    const commander = await connected();
    const queues = Array.from({ length: PARTITION_COUNT }, () => new RequestQueue(commander, WAIT_MS));
    const queue = queues[0]!;
    const key = new PartitionKeys(KEY_PREFIX, 0).ofCaller(fresh('caller'));
    const isAnswered = (): Promise<boolean> =>
      queue.run(TAKE, key, ['1000', '1000']).then(
        () => true,
        () => false,
      );
    /** Whether it ends in this turn of the event loop, before any input is read. */
    const isAtOnce = (work: Promise<boolean>): Promise<boolean> =>
      Promise.race([work.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);
    await eventually('Redis answers in time', 10_000, isAnswered);
    redis.signal('SIGSTOP');
    try {
      const first = isAnswered();
      expect(await isAtOnce(first)).to.equal(false);
      expect(await first).to.equal(false);
      for (let number = 0; number < 200; number += 1) {
        expect(await isAtOnce(isAnswered())).to.equal(true);
        await sleep(5);
      }
    } finally {
      redis.signal('SIGCONT');
    }
    await eventually('Redis is used again', 10_000, isAnswered);
  });
});
