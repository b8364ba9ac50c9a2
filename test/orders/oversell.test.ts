import { expect } from 'chai';
import { readBalancesOf, readBooks } from '../../scripts/support/books.ts';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../scripts/support/httpClient.ts';
import { ENGINE_NAMES } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';

const GATEWAYS = 3;
const REQUESTS = 2_000;
const UNITS = 500;

describe('oversell', () => {
  let gateways: GatewayProcess[];
  let client: HttpClient;
  let answers: Answer[];
  const sku_id = fresh('flash sale');

  /** Sends the same ids until there is an outcome: with so many at once, some wait longer than a request may. */
  const deduct = async (index: number, gateway: number): Promise<Answer> => {
    for (;;) {
      const answer = await client.call({
        method: 'POST',
        url: `${gateways[gateway % GATEWAYS]?.publicUrl}/v1/deductions`,
        body: { order_id: `order-${index}`, lines: [{ order_detail_id: `detail-${index}`, sku_id, quantity: 1 }] },
      });
      if (answer.status !== 503) return answer;
    }
  };
  const left = async (): Promise<unknown> => {
    const url = `${gateways[0]?.publicUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
    return (await client.call({ method: 'GET', url })).body?.leaved_amount;
  };

  before(async () => {
    gateways = await Promise.all(
      Array.from({ length: GATEWAYS }, (_, gateway) =>
        startGatewayProcess({
          ...stack().environment,
          STOCKGATE_ENGINE: ENGINE_NAMES[gateway % ENGINE_NAMES.length],
          PORT: '0',
          ADMIN_PORT: '0',
          STOCKGATE_LOG_LEVEL: 'error',
        }),
      ),
    );
    client = httpClient(REQUESTS);
    const url = `${gateways[0]?.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
    expect((await client.call({ method: 'PUT', url, body: { leaved_amount: UNITS } })).status).to.equal(201);
  });

  after(async () => {
    client.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  });

  it(`sells ${UNITS} units to ${REQUESTS} requests at once, through ${GATEWAYS} gateways of all engines`, async () => {
    answers = await Promise.all(Array.from({ length: REQUESTS }, (_, index) => deduct(index, index)));
    const count = (status: number, code?: string): number =>
      answers.filter((answer) => answer.status === status && answer.body?.code === code).length;
    // A request that took effect without an answer to its client is a replay when it is sent again.
    expect(count(201) + count(200)).to.equal(UNITS);
    expect(count(409, 'insufficient_stock')).to.equal(REQUESTS - UNITS);
    expect(await left()).to.equal(0);
  });

  it('keeps each flow once, no row below zero and books that balance, on every shard', async () => {
    const books = await readBooks(stack());
    expect(books.flatMap(({ differences }) => differences)).to.deep.equal([]);
    const flows = answers.filter(({ status }) => status < 300).map(({ body }) => String(body.lines[0].order_detail_id));
    expect(new Set(flows).size).to.equal(UNITS);
    const balance = (await readBalancesOf(stack())).flat().find((candidate) => candidate.sku_id === sku_id);
    expect(balance).to.deep.include({ flow_count: UNITS, deducted: BigInt(UNITS), leaved: 0n });
  });

  it('replays every accepted request that is sent again after the sell-out to another gateway', async () => {
    const accepted = answers.flatMap(({ status }, index) => (status < 300 ? [index] : []));
    const again = await Promise.all(accepted.map((index) => deduct(index, index + 1)));
    expect(again.filter(({ status, body }) => status !== 200 || body.replayed !== true)).to.deep.equal([]);
    expect(await left()).to.equal(0);
  });

  it('applies one id once when it is sent fifty times at once', async () => {
    const one = fresh('one of a kind');
    const url = `${gateways[0]?.adminUrl}/v1/skus/${encodeURIComponent(one)}`;
    await client.call({ method: 'PUT', url, body: { leaved_amount: 10 } });
    const body = { order_id: 'o', lines: [{ order_detail_id: 'd', sku_id: one, quantity: 3 }] };
    const sent = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        client.call({ method: 'POST', url: `${gateways[index % GATEWAYS]?.publicUrl}/v1/deductions`, body }),
      ),
    );
    expect(sent.filter(({ status }) => status === 201)).to.have.length(1);
    expect(sent.filter(({ status }) => status === 200)).to.have.length(49);
    const state = await client.call({
      method: 'GET',
      url: `${gateways[1]?.publicUrl}/v1/skus/${encodeURIComponent(one)}`,
    });
    expect(state.body.leaved_amount).to.equal(7);
  });
});
