import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startRedis } from '../../scripts/cluster/redis/redis.ts';
import type { RedisProcess } from '../../scripts/cluster/redis/redis.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { redisBench } from '../support/systems/redisBench.ts';

const PER_SECOND = 10;
const ASKED = 60;
const PAUSE_MS = 400;
const TOKENS = 'one,two';

describe('the request rate limit', () => {
  const gateways: TestGateway[] = [];
  afterEach(async () => void (await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()))));

  const open = async (more: NodeJS.ProcessEnv = {}): Promise<TestGateway> => {
    const gateway = await startTestGateway({
      STOCKGATE_RATE_PER_SECOND: String(PER_SECOND),
      STOCKGATE_TOKENS: TOKENS,
      HOST: '127.0.0.1',
      ...more,
    });
    gateways.push(gateway);
    return gateway;
  };
  const order = (gateway: TestGateway, sku_id: string, order_detail_id: string, token = 'one') =>
    gateway.post(
      '/v1/deductions',
      { order_id: order_detail_id, lines: [{ sku_id, order_detail_id, quantity: 1 }] },
      { authorization: `Bearer ${token}` },
    );
  /** Sends all orders at once. @returns the answers, in the order of the orders' numbers */
  const orders = async (among: readonly TestGateway[], sku_id: string, token?: string): Promise<Answer[]> =>
    Promise.all(
      Array.from({ length: ASKED }, (_, number) => order(among[number % among.length]!, sku_id, `d${number}`, token)),
    );
  const sold = (answers: readonly Answer[]): number => answers.filter(({ status }) => status === 201).length;
  /** @returns the answers, and the largest number of requests that the limit may have admitted in that time */
  const inTime = async (burst: number, work: () => Promise<Answer[]>): Promise<{ answers: Answer[]; most: number }> => {
    const beganMs = performance.now();
    const answers = await work();
    return { answers, most: burst + (PER_SECOND * (performance.now() - beganMs)) / 1_000 };
  };

  it('admits a caller at its rate, rejects the rest without effect, and delays no other caller', async () => {
    const gateway = await open();
    const sku_id = fresh('rated');
    await gateway.openSku(sku_id, 1_000);
    const { answers, most } = await inTime(PER_SECOND, () => orders([gateway], sku_id));
    expect(sold(answers)).to.be.within(PER_SECOND, most);
    const rejected = answers.find(({ status }) => status !== 201);
    const { status, body: problem, headers } = rejected ?? expect.fail('all orders were admitted');
    expect([status, problem?.code, headers['retry-after']]).to.deep.equal([429, 'rate_limited', '1']);
    expect((await order(gateway, sku_id, 'of another', 'two')).status).to.equal(201);
    // The caller stays the same, however it spells the header.
    const spelled = await inTime(PER_SECOND, () =>
      Promise.all(
        Array.from({ length: ASKED }, (_, blanks) =>
          gateway.get(`/v1/skus/${sku_id}`, { authorization: `BeArEr ${' '.repeat(blanks)}one` }),
        ),
      ),
    );
    expect(spelled.answers.filter(({ status }) => status === 200).length).to.be.at.most(spelled.most);
    await sleep(Number(rejected?.headers['retry-after']) * 1_000);
    expect((await order(gateway, sku_id, 'later')).status, 'it waited for the time in Retry-After').to.equal(201);
    expect((await gateway.adminGet('/v1/shards')).status, 'operators are not counted').to.equal(200);
    const { body } = await gateway.get(`/v1/skus/${sku_id}`, { authorization: 'Bearer two' });
    expect(body?.leaved_amount, 'rejected orders took nothing').to.equal(1_000 - sold(answers) - 2);
  });

  it('allows a burst of another size where one is configured', async () => {
    for (const burst of [30, 1]) {
      const gateway = await open({ STOCKGATE_RATE_BURST: String(burst) });
      const sku_id = fresh('bursting');
      await gateway.openSku(sku_id, 1_000);
      const { answers, most } = await inTime(burst, () => orders([gateway], sku_id));
      expect(sold(answers)).to.be.within(burst, most);
    }
  });

  it('is shared by gateways through Redis, and still holds when Redis fails', async () => {
    const { command, directory } = await redisBench();
    const redis: RedisProcess = await startRedis(command, directory);
    try {
      const shared = { STOCKGATE_REDIS: `redis://${redis.host}:${redis.port}`, STOCKGATE_REDIS_PREFIX: fresh('rates') };
      const both = [await open(shared), await open(shared)];
      const keys = async (): Promise<number> => ((await redis.ask('KEYS', '*bucket*')) as unknown[]).length;
      const sku_id = fresh('shared');
      await both[0]!.openSku(sku_id, 10_000);
      for (const gateway of both) {
        await redis.ask('FLUSHALL');
        await eventually('it counts in Redis', 10_000, async () => {
          await order(gateway, sku_id, fresh('first'));
          return (await keys()) > 0;
        });
      }
      // One gateway uses up the tokens and the other sees it: counting alone, it would still have all of them.
      await eventually('requests admitted by one count at the other', 20_000, async () => {
        // Rare enough that each request would be admitted if the gateway counted alone.
        await sleep(PAUSE_MS);
        await Promise.all(Array.from({ length: ASKED }, () => order(both[0]!, sku_id, fresh('spent'), 'two')));
        return (await order(both[1]!, sku_id, fresh('over'), 'two')).status === 429;
      });
      redis.signal('SIGKILL');
      await eventually(
        'each counts alone',
        10_000,
        async () => (await order(both[1]!, sku_id, fresh('alone'))).status === 201,
      );
    } finally {
      await redis.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
