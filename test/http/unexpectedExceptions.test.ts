import { Writable } from 'node:stream';
import { expect } from 'chai';
import { pino } from 'pino';
import { startGateway } from '../../src/app/startGateway.ts';
import type { Gateway } from '../../src/app/startGateway.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../src/core/ports/stockReader.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';

/** An unexpected exception at the worst moment: the shard has applied the operation, and no caller has an answer. */
describe('an unexpected exception', () => {
  const client = httpClient(1);
  let gateway: Gateway;
  let faulty = false;
  const lines: Record<string, unknown>[] = [];

  before(async () => {
    const config = await loadConfig({ ...stack().environment, PORT: '0', ADMIN_PORT: '0' });
    const fail = <T>(answer: T): T => {
      if (faulty) throw new Error('no code expects this fault');
      return answer;
    };
    const log = pino(
      { level: 'warn' },
      new Writable({
        write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as Record<string, unknown>)),
      }),
    );
    gateway = await startGateway(config, log, ({ engine, reader, ...others }) => {
      const afterwards: StockEngine = {
        apply: async (...call) => fail(await engine.apply(...call)),
        groupOf: (shard) => engine.groupOf(shard),
        applyJointly: async (...call) => fail(await engine.applyJointly(...call)),
      };
      const reading: StockReader = {
        findFlows: async (...call) => fail(await reader.findFlows(...call)),
        readStock: async (...call) => fail(await reader.readStock(...call)),
      };
      return { ...others, engine: afterwards, reader: reading };
    });
  });
  after(async () => {
    client.close();
    await gateway.drain();
  });
  afterEach(() => (faulty = false));

  const call = async (method: 'GET' | 'PUT' | 'POST', url: string, body?: unknown): Promise<string> => {
    const answer = await client.call({ method, url, ...(body === undefined ? {} : { body }) });
    expect(answer.text).not.to.contain('expects this');
    return answer.status < 300 ? String(answer.status) : `${answer.status} ${answer.body.code}`;
  };

  it('is answered as outcome_unknown by every change of stock, and the same ids give the outcome', async () => {
    const sku_id = fresh('unforeseen');
    const sku = `${gateway.adminUrl}/v1/skus/${sku_id}`;
    const calls = [
      ['PUT', sku, { leaved_amount: 5 }],
      [
        'POST',
        `${gateway.publicUrl}/v1/deductions`,
        { order_id: 'o', lines: [{ order_detail_id: 'a', sku_id, quantity: 2 }] },
      ],
      ['POST', `${sku}/adjustments`, { adjustment_id: 'a', delta: 1 }],
    ] as const;
    for (const [method, url, body] of calls) {
      faulty = true;
      expect(await call(method, url, body), url).to.equal('503 outcome_unknown');
      faulty = false;
      expect(await call(method, url, body), url).to.equal('200');
    }
    const { body } = await client.call({ method: 'GET', url: `${gateway.publicUrl}/v1/skus/${sku_id}` });
    expect(body.leaved_amount).to.equal(4);
  });

  it('has a request id under which both the fault and the answer are logged', async () => {
    const sku_id = fresh('unforeseen');
    faulty = true;
    const { headers } = await client.call({
      method: 'PUT',
      url: `${gateway.adminUrl}/v1/skus/${sku_id}/sale`,
      body: { state: 'paused' },
    });
    const named = lines.filter(({ requestId }) => requestId !== undefined && requestId === headers['x-request-id']);
    expect(named.map(({ msg }) => msg)).to.deep.equal(['fault', 'answered']);
    expect(named[1]).to.include({ outcome: 'outcome_unknown', status: 503 });
  });

  it('is answered as internal where nothing is changed', async () => {
    faulty = true;
    for (const path of ['/v1/skus/a', '/v1/deductions/a?sku_id=a'])
      expect(await call('GET', gateway.publicUrl + path), path).to.equal('500 internal');
  });
});
