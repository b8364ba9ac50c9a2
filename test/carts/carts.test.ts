import { expect } from 'chai';
import { eventually } from '../support/run/eventually.ts';
import { PROTOCOLS, startProtocolGateway, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import { decisionsOf, recordsOf } from '../support/carts/cartRows.ts';
import { fresh } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { skuOn } from '../support/engines/traffic.ts';

for (const protocol of PROTOCOLS) {
  describe(`carts, each sold by ${protocol.name}`, () => {
    let gateway: TestGateway;
    let first: string;
    let second: string;
    let third: string;
    before(async () => {
      gateway = await startProtocolGateway(protocol);
    });
    after(() => gateway.stop());
    beforeEach(() => {
      const name = fresh('cart');
      const [one, two, three] = protocol.shards;
      [first, second, third] = [skuOn(one, name), skuOn(two, name), skuOn(three, name)];
    });

    const sell = (order_id: string, lines: readonly (readonly [sku_id: string, quantity: number])[]) =>
      gateway.post('/v1/deductions', {
        order_id,
        lines: lines.map(([sku_id, quantity]) => ({ sku_id, order_detail_id: `d-${order_id}`, quantity })),
      });
    const left = async (sku_id: string): Promise<number> =>
      (await gateway.get(`/v1/skus/${sku_id}`)).body.leaved_amount as number;
    const allLeft = () => Promise.all([left(first), left(second), left(third)]);
    const giveBack = (order_id: string, sku_id: string, return_id: string, quantity: number) =>
      gateway.post('/v1/returns', { return_id, order_detail_id: `d-${order_id}`, sku_id, quantity });
    const openAll = async (...amounts: readonly number[]): Promise<void> => {
      for (const [index, sku_id] of [first, second, third].entries())
        await gateway.openSku(sku_id, amounts[index] ?? 0);
    };

    it('sells lines on several shards together, and answers a second attempt with a replay', async () => {
      await openAll(5, 5, 5);
      const order_id = fresh('order');
      const lines = [
        [first, 1],
        [second, 2],
        [third, 3],
      ] as const;
      const answer = await sell(order_id, lines);
      expect(answer.status, answer.text).to.equal(201);
      expect(answer.body).to.deep.include({ order_id, status: 'deducted', replayed: false, durability: 'mysql' });
      expect(answer.body.lines).to.have.length(3);
      expect(await allLeft()).to.deep.equal([4, 3, 2]);
      const again = await sell(order_id, lines);
      expect(again.status, again.text).to.equal(200);
      expect(again.body.replayed).to.equal(true);
      expect(await allLeft()).to.deep.equal([4, 3, 2]);
      expect(await decisionsOf(order_id, [first, second, third])).to.deep.equal(['committed']);
      expect(await recordsOf(order_id)).to.deep.equal(protocol === WITH_ATTEMPTS ? ['committed'] : []);
    });

    it('sells nothing when one line cannot be served, and names every line that is short', async () => {
      await openAll(5, 1, 0);
      const order_id = fresh('order');
      const answer = await sell(order_id, [
        [first, 1],
        [second, 2],
        [third, 3],
      ]);
      expect(answer.status, answer.text).to.equal(409);
      expect(answer.body.code).to.equal('insufficient_stock');
      expect(
        answer.body.lines.map((line: { sku_id: string; leaved_amount: number }) => [line.sku_id, line.leaved_amount]),
      ).to.deep.equal([
        [second, 1],
        [third, 0],
      ]);
      await eventually('nothing is held', 5_000, async () => (await allLeft()).join() === '5,1,0');
      const lookup = await gateway.post('/v1/deductions/lookup', {
        lines: [{ sku_id: first, order_detail_id: `d-${order_id}` }],
      });
      expect(lookup.body.lines[0].status).to.equal('none');
    });

    it('accepts the ids of a refused order after a restock', async () => {
      await openAll(5, 1, 3);
      const order_id = fresh('order');
      const lines = [
        [first, 1],
        [second, 2],
        [third, 3],
      ] as const;
      expect((await sell(order_id, lines)).status).to.equal(409);
      await gateway.adminPost(`/v1/skus/${second}/adjustments`, { adjustment_id: 'more', delta: 1 });
      const answer = await sell(order_id, lines);
      expect(answer.status, answer.text).to.equal(201);
      expect(await allLeft()).to.deep.equal([4, 0, 0]);
    });

    it('accepts returns right after the answer, in parts, and never above the quantity', async () => {
      await openAll(5, 5, 5);
      const order_id = fresh('order');
      await sell(order_id, [
        [first, 3],
        [second, 1],
      ]);
      const one = await giveBack(order_id, first, 'r1', 2);
      expect(one.status, one.text).to.equal(201);
      expect(one.body).to.deep.include({ returned: 2, returnable: 1 });
      expect((await giveBack(order_id, first, 'r1', 2)).status).to.equal(200);
      expect((await giveBack(order_id, first, 'r1', 1)).body.code).to.equal('idempotency_conflict');
      const above = await giveBack(order_id, first, 'r2', 2);
      expect([above.status, above.body.code, above.body.returnable]).to.deep.equal([409, 'over_return', 1]);
      expect((await giveBack(fresh('none'), first, 'r1', 1)).body.code).to.equal('unknown_deduction');
      expect(await left(first)).to.equal(4);
    });

    it('cancels sold lines and blocks unsold ones, on all shards', async () => {
      await openAll(5, 5, 5);
      const order_id = fresh('order');
      await sell(order_id, [
        [first, 3],
        [second, 1],
      ]);
      await giveBack(order_id, first, 'r1', 1);
      const keys = [first, second, third].map((sku_id) => ({ sku_id, order_detail_id: `d-${order_id}` }));
      const cancelled = await gateway.post('/v1/cancellations', { order_id, lines: keys });
      expect(cancelled.status, cancelled.text).to.equal(200);
      expect(cancelled.body.replayed).to.equal(false);
      expect(await allLeft()).to.deep.equal([5, 5, 5]);
      expect((await gateway.post('/v1/cancellations', { order_id, lines: keys })).body.replayed).to.equal(true);
      const late = await sell(order_id, [
        [first, 3],
        [third, 1],
      ]);
      expect([late.status, late.body.code]).to.deep.equal([409, 'cancelled']);
      const other = await gateway.post('/v1/cancellations', { order_id: 'other', lines: keys });
      expect([other.status, other.body.code]).to.deep.equal([409, 'idempotency_conflict']);
      expect(await allLeft()).to.deep.equal([5, 5, 5]);
    });

    it('pauses and resumes a SKU at once, while replays and returns go on', async () => {
      await openAll(5, 5, 5);
      const order_id = fresh('order');
      await sell(order_id, [
        [first, 1],
        [second, 1],
      ]);
      expect((await gateway.adminPut(`/v1/skus/${first}/sale`, { state: 'paused' })).status).to.equal(200);
      const refused = await sell(fresh('order'), [
        [first, 1],
        [second, 1],
      ]);
      expect([refused.status, refused.body.code]).to.deep.equal([409, 'not_on_sale']);
      expect(
        (
          await sell(order_id, [
            [first, 1],
            [second, 1],
          ])
        ).status,
      ).to.equal(200);
      expect((await giveBack(order_id, first, 'r', 1)).status).to.equal(201);
      await gateway.adminPut(`/v1/skus/${first}/sale`, { state: 'on', from: '2999-01-01T00:00:00Z' });
      expect((await sell(fresh('order'), [[first, 1]])).body.code).to.equal('not_on_sale');
      await gateway.adminPut(`/v1/skus/${first}/sale`, { state: 'on' });
      expect(
        (
          await sell(fresh('order'), [
            [first, 1],
            [second, 1],
          ])
        ).status,
      ).to.equal(201);
    });
  });
}
