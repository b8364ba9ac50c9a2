import { expect } from 'chai';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { ENGINE_NAMES } from '../support/engines/engines.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { hotRowsOf, rowsBalance } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';
import { eventually } from '../support/run/eventually.ts';

const SUB_ROWS = 16;

for (const engine of ENGINE_NAMES) {
  describe(`hot SKU: ${engine}`, () => {
    let gateways: TestGateway[];
    const first = (): TestGateway => gateways[0] as TestGateway;
    const path = (sku_id: string, rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
    const split = async (sku_id: string, sub_rows: number, gateway = first()): Promise<void> => {
      const answer =
        sub_rows === 1
          ? await gateway.client.call({ method: 'DELETE', url: `${gateway.adminUrl}${path(sku_id, '/hot')}` })
          : await gateway.adminPut(path(sku_id, '/hot'), { sub_rows });
      expect(answer.status, answer.text).to.equal(200);
    };
    const stockOf = async (sku_id: string): Promise<Record<string, unknown>> =>
      (await first().get(path(sku_id))).body ?? {};
    const leftOf = async (sku_id: string): Promise<unknown> => (await stockOf(sku_id)).leaved_amount;
    const at = (place: number): TestGateway => gateways[place % gateways.length] as TestGateway;

    before(async () => {
      gateways = await Promise.all([0, 1].map(() => startTestGateway({ STOCKGATE_ENGINE: engine })));
    });

    after(async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    });

    it('has each row on another shard, the first on the owner of its slot, and sells from all rows', async () => {
      const sku_id = fresh('spread');
      await first().openSku(sku_id, 1_600);
      await split(sku_id, SUB_ROWS);
      const { mode, sub_rows, leaved_amount } = await stockOf(sku_id);
      expect({ mode, leaved_amount }).to.deep.equal({ mode: 'hot', leaved_amount: 1_600 });
      expect(new Set((sub_rows as { shard: number }[]).map(({ shard }) => shard)).size).to.equal(SUB_ROWS);
      const sell = async (order: number): Promise<Answer> => {
        const answer = await at(order).deduct({ sku_id, order_detail_id: `d${order}`, quantity: 2 });
        // All units start in the first row: on a busy machine some orders come before units are moved to their rows.
        return answer.status === 503 ? sell(order) : answer;
      };
      const answers = await Promise.all(Array.from({ length: 200 }, (_, order) => sell(order)));
      for (const { body } of answers) expect(body).to.include({ status: 'deducted' });
      const rows = await hotRowsOf(stack(), sku_id);
      expect(rows.filter(({ flow_count }) => flow_count > 0)).to.have.length.above(SUB_ROWS / 2);
      expect(await leftOf(sku_id)).to.equal(1_200);
      await rowsBalance(stack(), sku_id);
    });

    it('serves eight orders of two units from sixteen rows with one unit each', async () => {
      const sku_id = fresh('fragments');
      await first().openSku(sku_id, SUB_ROWS);
      await split(sku_id, SUB_ROWS);
      await eventually('every row has one unit', 10_000, async () =>
        (await hotRowsOf(stack(), sku_id)).every(({ leaved_amount }) => leaved_amount === 1),
      );
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, order) =>
          at(order).deduct({ sku_id, order_detail_id: `d${order}`, quantity: 2 }),
        ),
      );
      expect(answers.map(({ status }) => status)).to.deep.equal(answers.map(() => 201));
      expect((await first().deduct({ sku_id, order_detail_id: 'one more', quantity: 1 })).body).to.include({
        code: 'insufficient_stock',
      });
      await rowsBalance(stack(), sku_id);
    });

    it('serves one of two orders of five units from two rows with three units each', async () => {
      const sku_id = fresh('two fives');
      await first().openSku(sku_id, 6);
      await split(sku_id, 2);
      await eventually('both rows have three units', 10_000, async () =>
        (await hotRowsOf(stack(), sku_id)).every(({ leaved_amount }) => leaved_amount === 3),
      );
      const answers = await Promise.all(
        [0, 1].map((order) => at(order).deduct({ sku_id, order_detail_id: `d${order}`, quantity: 5 })),
      );
      expect(answers.map(({ status }) => status).sort()).to.deep.equal([201, 409]);
      expect(answers.find(({ status }) => status === 409)?.body?.lines).to.deep.include.members([]);
      expect(await leftOf(sku_id)).to.equal(1);
      await rowsBalance(stack(), sku_id);
    });

    it('is restocked in the largest number of rows, and is an ordinary SKU after a merge', async () => {
      const sku_id = fresh('merged');
      await first().openSku(sku_id, 1_600);
      await split(sku_id, 64);
      const restock = await first().adminPost(path(sku_id, '/adjustments'), { adjustment_id: 'a', delta: 1 });
      expect(restock.status, restock.text).to.equal(201);
      await split(sku_id, 1);
      await eventually('orders no longer need its layout', 10_000, async () =>
        (await hotRowsOf(stack(), sku_id)).every(({ intake, sub_row }) => sub_row > 0 || intake === 'any'),
      );
      expect((await stockOf(sku_id)).leaved_amount).to.equal(1_601);
      await rowsBalance(stack(), sku_id);
    });

    it('answers the same ids alike in every layout, and finds the deductions to return and to cancel', async () => {
      const sku_id = fresh('layouts');
      await first().openSku(sku_id, 1_000);
      const orders = Array.from({ length: 24 }, (_, order) => ({
        sku_id,
        order_detail_id: `d${order}`,
        quantity: 1 + (order % 3),
      }));
      let sold = 0;
      for (const [place, sub_rows] of [4, 16, 3, 1, 2].entries()) {
        const some = orders.slice(place * 4, place * 4 + 4);
        for (const line of some) expect((await at(place).deduct(line)).status).to.equal(201);
        sold += some.reduce((sum, { quantity }) => sum + quantity, 0);
        await split(sku_id, sub_rows, at(place + 1));
        for (const line of orders.slice(0, place * 4 + 4)) {
          const replay = await at(place + line.quantity).deduct(line);
          expect({ status: replay.status, replayed: replay.body?.replayed }).to.deep.equal({
            status: 200,
            replayed: true,
          });
        }
        expect((await at(place).deduct({ ...(orders[0] as (typeof orders)[number]), quantity: 99 })).body).to.include({
          code: 'idempotency_conflict',
        });
      }
      expect(await leftOf(sku_id)).to.equal(1_000 - sold);
      const [a, b] = orders as [(typeof orders)[number], (typeof orders)[number]];
      const giveBack = { return_id: 'r', order_detail_id: b.order_detail_id, sku_id, quantity: 1 };
      expect((await at(1).post('/v1/returns', giveBack)).status).to.equal(201);
      await split(sku_id, 5);
      expect((await at(0).post('/v1/returns', giveBack)).status).to.equal(200);
      const cancellation = {
        order_id: 'order of d0',
        lines: [
          { order_detail_id: a.order_detail_id, sku_id },
          { order_detail_id: 'never', sku_id },
        ],
      };
      expect((await at(0).post('/v1/cancellations', cancellation)).status).to.equal(200);
      await split(sku_id, 1);
      expect((await at(1).post('/v1/cancellations', cancellation)).body).to.include({ replayed: true });
      expect((await at(1).deduct({ sku_id, order_detail_id: 'never', quantity: 1 }, 'order of d0')).body).to.include({
        code: 'cancelled',
      });
      expect(
        (await at(1).get(`/v1/deductions/${a.order_detail_id}?sku_id=${encodeURIComponent(sku_id)}`)).body,
      ).to.include({ status: 'cancelled' });
      expect(await leftOf(sku_id)).to.equal(1_000 - sold + 1 + a.quantity);
      await rowsBalance(stack(), sku_id);
    });
  });
}
