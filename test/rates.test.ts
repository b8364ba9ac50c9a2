import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startRedis } from '../scripts/cluster/redis.ts';
import type { RedisProcess } from '../scripts/cluster/redis.ts';
import type { Answer } from '../scripts/support/httpClient.ts';
import { eventually } from './support/eventually.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { redisBench } from './support/redisBench.ts';

const PER_SECOND = 10;
const ASKED = 60;
const PAUSE_MS = 400;
const TOKENS = 'one,two';

describe('rates', () => {
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
  /** All at once. @returns the statuses, by the orders' numbers */
  const orders = async (among: readonly TestGateway[], sku_id: string, token?: string): Promise<Answer[]> =>
    Promise.all(
      Array.from({ length: ASKED }, (_, number) => order(among[number % among.length]!, sku_id, `d${number}`, token)),
    );
  const sold = (answers: readonly Answer[]): number => answers.filter(({ status }) => status === 201).length;
  /** @returns how many may have been let through by then, at most */
  const inTime = async (burst: number, work: () => Promise<Answer[]>): Promise<{ answers: Answer[]; most: number }> => {
    const beganMs = performance.now();
    const answers = await work();
    return { answers, most: burst + (PER_SECOND * (performance.now() - beganMs)) / 1_000 };
  };

  it('let a caller ask so often, turn the rest away with nothing done, and hold up no other caller', async () => {
    const gateway = await open();
    const sku_id = fresh('rated');
    await gateway.openSku(sku_id, 1_000);
    const { answers, most } = await inTime(PER_SECOND, () => orders([gateway], sku_id));
    expect(sold(answers)).to.be.within(PER_SECOND, most);
    const away = answers.find(({ status }) => status !== 201);
    expect([away?.status, away?.body?.code, away?.headers['retry-after']]).to.deep.equal([429, 'rate_limited', '1']);
    expect((await order(gateway, sku_id, 'of another', 'two')).status).to.equal(201);
    // However he spells it, he is the same caller.
    const spelled = await inTime(PER_SECOND, () =>
      Promise.all(
        Array.from({ length: ASKED }, (_, blanks) =>
          gateway.get(`/v1/skus/${sku_id}`, { authorization: `BeArEr ${' '.repeat(blanks)}one` }),
        ),
      ),
    );
    expect(spelled.answers.filter(({ status }) => status === 200).length).to.be.at.most(spelled.most);
    await sleep(Number(away?.headers['retry-after']) * 1_000);
    expect((await order(gateway, sku_id, 'later')).status, 'he waited as long as he was told').to.equal(201);
    expect((await gateway.adminGet('/v1/shards')).status, 'operators are not counted').to.equal(200);
    const { body } = await gateway.get(`/v1/skus/${sku_id}`, { authorization: 'Bearer two' });
    expect(body?.leaved_amount, 'who was turned away took nothing').to.equal(1_000 - sold(answers) - 2);
  });

  it('let more or fewer through at once where that is said', async () => {
    for (const burst of [30, 1]) {
      const gateway = await open({ STOCKGATE_RATE_BURST: String(burst) });
      const sku_id = fresh('bursting');
      await gateway.openSku(sku_id, 1_000);
      const { answers, most } = await inTime(burst, () => orders([gateway], sku_id));
      expect(sold(answers)).to.be.within(burst, most);
    }
  });

  it('hold over several gateways where there is Redis, and do not fail with it', async () => {
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
      // One spends what there is, and the other is told so: counting alone it would have all of it left.
      await eventually('what one let through counts at the other', 20_000, async () => {
        // Seldom enough for it to let each through, if it counted alone.
        await sleep(PAUSE_MS);
        await Promise.all(Array.from({ length: ASKED }, () => order(both[0]!, sku_id, fresh('spent'), 'two')));
        return (await order(both[1]!, sku_id, fresh('over'), 'two')).status === 429;
      });
      redis.signal('SIGKILL');
      await eventually(
        'each counts for itself',
        10_000,
        async () => (await order(both[1]!, sku_id, fresh('alone'))).status === 201,
      );
    } finally {
      await redis.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
