import { expect } from 'chai';
import { PROBLEMS } from '../../src/http/errors.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';

/** Labels with a bounded number of values. */
const LABELS = [
  'answered',
  'route',
  'outcome',
  'le',
  'shard',
  'rank',
  'state',
  'operation',
  'ending',
  'type',
  'kind',
  'space',
  'version',
  'major',
  'minor',
  'patch',
];

describe('metrics', () => {
  let gateway: TestGateway;
  const [sku_id, order_id] = [fresh('metric-sku'), fresh('metric-order')];

  before(async () => {
    gateway = await startTestGateway();
  });
  after(() => gateway.stop());

  it('count outcomes, and name no SKU and no order', async () => {
    const before = await gateway.adminGet('/metrics');
    await gateway.openSku(sku_id, 1);
    for (const order_detail_id of ['metric-detail', 'other-detail'])
      await gateway.deduct({ sku_id, order_detail_id, quantity: 1 }, order_id);
    const { headers, text } = await gateway.adminGet('/metrics');
    expect(headers['content-type']).to.match(/^text\/plain/);
    const count = (of: string, outcome: string): number =>
      Number(
        of
          .split('\n')
          .find((row) => row.startsWith(`stockgate_requests_total{route="POST /v1/deductions",outcome="${outcome}"}`))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    for (const outcome of ['deducted', 'insufficient_stock'])
      expect(count(text, outcome) - count(before.text, outcome), outcome).to.equal(1);
    expect(text).to.contain('stockgate_request_seconds_bucket{le="0.005",route="POST /v1/deductions"}');
    expect(text).to.contain('stockgate_nodejs_eventloop_lag_seconds ');
    for (const shard of ['shard-00', 'shard-15']) {
      expect(text)
        .to.contain(`stockgate_pool_waiting{shard="${shard}"} 0`)
        .and.to.contain(`stockgate_shard_state{shard="${shard}",state="serving"} 1`);
    }
    expect(text).not.to.contain(sku_id).and.not.to.contain(order_id).and.not.to.contain('metric-detail');
    const labels = new Set(
      [...text.matchAll(/^\w+\{(.*)\}/gm)].flatMap(([, list = '']) =>
        [...list.matchAll(/(\w+)="/g)].map(([, name]) => name),
      ),
    );
    expect([...labels].filter((label) => !LABELS.includes(label ?? ''))).to.deep.equal([]);
    const outcomes = [...text.matchAll(/outcome="(\w+)"/g)].map(([, outcome]) => outcome ?? '');
    expect(
      outcomes.filter(
        (outcome) => !(outcome in PROBLEMS) && !['done', 'deducted', 'replayed', 'applied'].includes(outcome),
      ),
    ).to.deep.equal([]);
  });
});
