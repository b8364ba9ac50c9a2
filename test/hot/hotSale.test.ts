import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../scripts/support/httpClient.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { hotRowsOf, rowsBalance } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const UNITS = LONG ? 100_000 : 3_000;
const CLIENTS = 64;
const QUANTITY_MAX = 5;
/** One order in this many is sent again through another gateway, regardless of its answer. */
const AGAIN_EVERY = 10;
const SUB_ROWS = 16;
const TIMEOUT_MS = 300_000;

describe('the sale of a hot SKU', () => {
  let gateways: GatewayProcess[];
  let client: HttpClient;
  const sku_id = fresh('flash');

  before(async () => {
    gateways = await Promise.all(
      [0, 1].map(() =>
        startGatewayProcess({ ...stack().environment, PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'error' }),
      ),
    );
    client = httpClient(2 * CLIENTS);
    const url = `${gateways[0]?.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
    expect((await client.call({ method: 'PUT', url, body: { leaved_amount: UNITS } })).status).to.equal(201);
    expect((await client.call({ method: 'PUT', url: `${url}/hot`, body: { sub_rows: SUB_ROWS } })).status).to.equal(
      200,
    );
  });

  after(async () => {
    client.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  });

  const deduct = (gateway: number, order: string, quantity: number): Promise<Answer> =>
    client.call({
      method: 'POST',
      url: `${gateways[gateway % gateways.length]?.publicUrl}/v1/deductions`,
      body: { order_id: order, lines: [{ order_detail_id: order, sku_id, quantity }] },
    });

  const setting = `${UNITS} units, ${CLIENTS} clients, orders of one to ${QUANTITY_MAX} units`;
  it(`sells every unit, each order once: ${setting}`, async () => {
    const sold = new Map<string, number>();
    let orders = 0;
    const definiteAnswer = async (gateway: number, order: string, quantity: number): Promise<Answer> => {
      for (;;) {
        const answer = await deduct(gateway, order, quantity);
        if (answer.status !== 503) return answer;
      }
    };
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, buyer) => {
        let most = QUANTITY_MAX;
        while (most > 0) {
          orders += 1;
          const order = `order ${orders} of ${buyer}`;
          const quantity = 1 + (orders % most);
          const [first, again] = [
            await definiteAnswer(buyer, order, quantity),
            orders % AGAIN_EVERY === 0 ? await definiteAnswer(buyer + 1, order, quantity) : null,
          ];
          if (first.status === 409) expect(first.body).to.include({ code: 'insufficient_stock' });
          // A refused order may be sold later, but a sold order stays sold.
          if (first.status !== 409 && again !== null) expect(again.status).to.equal(200);
          if ((again ?? first).status !== 409) sold.set(order, quantity);
          else most = Math.min(most, quantity) - 1;
        }
      }),
    );
    const rows = await hotRowsOf(stack(), sku_id);
    expect(
      rows.reduce((sum, { leaved_amount }) => sum + leaved_amount, 0),
      'units left in all rows',
    ).to.equal(0);
    expect(
      [...sold.values()].reduce((sum, quantity) => sum + quantity, 0),
      'sold',
    ).to.equal(UNITS);
    expect(
      rows.reduce((sum, { flow_count }) => sum + flow_count, 0),
      'flows',
    ).to.equal(sold.size);
    await rowsBalance(stack(), sku_id);
  }).timeout(TIMEOUT_MS);
});
