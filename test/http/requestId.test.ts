import { Writable } from 'node:stream';
import { expect } from 'chai';
import { pino } from 'pino';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';

const OURS = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TOKEN = 'token-of-a-shop';

describe('a request id', () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'debug' },
    new Writable({
      write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as Record<string, unknown>)),
    }),
  );
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ STOCKGATE_TOKENS: TOKEN, HOST: '127.0.0.1' }, stack(), log);
  });
  after(() => gateway.stop());

  const authorization = `Bearer ${TOKEN}`;
  const look = (more: Record<string, string>) => gateway.get(`/v1/skus/${fresh('none')}`, { authorization, ...more });
  const logged = (requestId: unknown) => lines.filter((line) => line['requestId'] === requestId);

  it('is taken from the caller, and is in the answer and in the log', async () => {
    const { status, headers } = await look({ 'x-request-id': 'checkout-17' });
    expect([status, headers['x-request-id']]).to.deep.equal([404, 'checkout-17']);
    expect(logged('checkout-17')).to.have.length(1);
    expect(logged('checkout-17')[0]).to.include({
      route: 'GET /v1/skus/:sku_id',
      outcome: 'unknown_sku',
      status: 404,
      msg: 'answered',
    });
  });

  it('is generated when the given one is not valid, and is absent when the caller sends none', async () => {
    for (const given of ['with a blank', 'x'.repeat(65), '']) {
      const { headers } = await look({ 'x-request-id': given });
      expect(headers['x-request-id'], given).to.match(OURS);
    }
    expect((await look({})).headers['x-request-id']).to.equal(undefined);
  });

  it('is logged without any content of the request', async () => {
    const sku_id = fresh('secret goods');
    await gateway.openSku(sku_id, 5);
    const order = { order_id: fresh('secret order'), lines: [{ sku_id, order_detail_id: 'secret line', quantity: 1 }] };
    expect((await gateway.post('/v1/deductions', order, { authorization, 'x-request-id': 'sale-1' })).status).to.equal(
      201,
    );
    expect(logged('sale-1')).to.have.length(1);
    expect(JSON.stringify(lines)).to.not.contain('secret').and.not.contain(TOKEN);
  });
});
