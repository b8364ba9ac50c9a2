import { expect } from 'chai';
import { STOCK_LIMIT } from '../../src/core/types.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { hotRowsOf, layoutOf, rowsBalance, unitsToMove } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';

const SUB_ROWS = 8;

describe('calls about a hot SKU', () => {
  let one: TestGateway;
  let other: TestGateway;

  before(async () => {
    [one, other] = (await Promise.all([0, 1].map(() => startTestGateway()))) as [TestGateway, TestGateway];
  });

  after(async () => {
    await Promise.all([one.stop(), other.stop()]);
  });

  const path = (sku_id: string, rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
  const merge = (sku_id: string): Promise<Answer> =>
    one.client.call({ method: 'DELETE', url: `${one.adminUrl}${path(sku_id, '/hot')}` });
  const leftOf = async (sku_id: string, gateway = other): Promise<unknown> =>
    (await gateway.get(path(sku_id))).body?.leaved_amount;
  const openHot = async (name: string, leaved_amount: number, sub_rows = SUB_ROWS): Promise<string> => {
    const sku_id = fresh(name);
    await one.openSku(sku_id, leaved_amount);
    expect((await one.adminPut(path(sku_id, '/hot'), { sub_rows })).status).to.equal(200);
    return sku_id;
  };
  const order = (
    gateway: TestGateway,
    order_id: string,
    lines: readonly { sku_id: string; order_detail_id: string; quantity: number }[],
  ): Promise<Answer> => gateway.post('/v1/deductions', { order_id, lines });

  it('return its layout, and reject invalid requests', async () => {
    const sku_id = await openHot('answers', 10, 3);
    const again = await other.adminPut(path(sku_id, '/hot'), { sub_rows: 3 });
    expect(again.body).to.include({ sku_id, mode: 'hot' });
    expect(again.body?.sub_rows).to.have.length(3);
    for (const body of [{ sub_rows: 1 }, { sub_rows: 65 }, { sub_rows: '4' }, {}, { sub_rows: 4, more: 1 }]) {
      expect((await one.adminPut(path(sku_id, '/hot'), body)).body, JSON.stringify(body)).to.include({
        code: 'invalid_request',
      });
    }
    expect((await one.adminPut(path(fresh('nothing'), '/hot'), { sub_rows: 4 })).body).to.include({
      code: 'unknown_sku',
    });
    expect(
      (await one.client.call({ method: 'DELETE', url: `${one.adminUrl}${path(fresh('nothing'), '/hot')}` })).status,
    ).to.equal(404);
    expect((await merge(sku_id)).body).to.include({ mode: 'single' });
    expect((await merge(sku_id)).status).to.equal(200);
  });

  it('split it into more rows than there are shards', async () => {
    const sku_id = await openHot('many rows', 640, 64);
    const sell = async (number: number): Promise<Answer> => {
      const answer = await order(other, `o${number}`, [{ sku_id, order_detail_id: `d${number}`, quantity: 5 }]);
      // All units start in the first row: on a busy machine some orders come before units are moved to their rows.
      return answer.status === 503 ? sell(number) : answer;
    };
    const answers = await Promise.all(Array.from({ length: 64 }, (_, number) => sell(number)));
    for (const { body } of answers) expect(body).to.include({ status: 'deducted' });
    expect(
      (await one.post('/v1/returns', { return_id: 'r', order_detail_id: 'd7', sku_id, quantity: 2 })).status,
    ).to.equal(201);
    expect((await merge(sku_id)).status).to.equal(200);
    expect(
      (await one.post('/v1/returns', { return_id: 'r2', order_detail_id: 'd7', sku_id, quantity: 3 })).status,
    ).to.equal(201);
    expect(await leftOf(sku_id)).to.equal(640 - 63 * 5);
    await rowsBalance(stack(), sku_id);
  });

  it('sell carts with it whole or not at all, and accept cancellations of their lines', async () => {
    const [hot, cold] = [await openHot('cart', 100), fresh('cold')];
    await one.openSku(cold, 3);
    const cart = [
      ...[0, 1, 2, 3].map((line) => ({ sku_id: hot, order_detail_id: `h${line}`, quantity: 10 })),
      { sku_id: cold, order_detail_id: 'c', quantity: 2 },
    ];
    expect((await order(one, 'first', cart)).status).to.equal(201);
    expect((await order(other, 'first', cart)).status).to.equal(200);
    const second = cart.map((line) => ({ ...line, order_detail_id: `${line.order_detail_id} again` }));
    const refused = await order(other, 'second', second);
    expect(refused.body).to.include({ code: 'insufficient_stock' });
    expect((refused.body?.lines as { sku_id: string }[]).map(({ sku_id }) => sku_id)).to.deep.equal([cold]);
    await eventually(
      'the held units are free again',
      10_000,
      async () => (await leftOf(hot)) === 60 && (await leftOf(cold)) === 1,
    );
    // More units than any row has, in one line of a cart.
    expect(
      (
        await order(other, 'third', [
          { sku_id: hot, order_detail_id: 'large', quantity: 55 },
          { sku_id: cold, order_detail_id: 'last', quantity: 1 },
        ])
      ).status,
    ).to.equal(201);
    expect((await one.adminPut(path(hot, '/hot'), { sub_rows: 3 })).status).to.equal(200);
    expect(
      (
        await order(one, 'third', [
          { sku_id: hot, order_detail_id: 'large', quantity: 55 },
          { sku_id: cold, order_detail_id: 'last', quantity: 1 },
        ])
      ).status,
    ).to.equal(200);
    expect(
      (
        await one.post('/v1/cancellations', {
          order_id: 'first',
          lines: cart.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id })),
        })
      ).status,
    ).to.equal(200);
    expect([await leftOf(hot), await leftOf(cold)]).to.deep.equal([45, 2]);
    expect((await one.adminPost('/v1/reconciliations', { sku_id: hot })).body?.differences).to.deep.equal([]);
    await rowsBalance(stack(), hot);
  });

  it('restock and write off once per id, also more units than any row has', async () => {
    const sku_id = await openHot('adjusted', 80);
    const adjust = (gateway: TestGateway, adjustment_id: string, delta: number): Promise<Answer> =>
      gateway.adminPost(path(sku_id, '/adjustments'), { adjustment_id, delta });
    expect((await adjust(one, 'off', -70)).status).to.equal(201);
    expect((await adjust(other, 'off', -70)).status).to.equal(200);
    expect((await adjust(other, 'off', -71)).body).to.include({ code: 'idempotency_conflict' });
    expect((await adjust(other, 'too much', -11)).body).to.include({ code: 'insufficient_stock' });
    expect((await adjust(one, 'in', 30)).status).to.equal(201);
    expect((await one.adminPut(path(sku_id, '/hot'), { sub_rows: 2 })).status).to.equal(200);
    expect((await adjust(other, 'in', 30)).status).to.equal(200);
    expect((await adjust(other, 'above', STOCK_LIMIT - 39)).body).to.include({ code: 'stock_limit' });
    expect((await adjust(other, 'up to it', STOCK_LIMIT - 40)).status).to.equal(201);
    expect((await adjust(one, 'up to it', STOCK_LIMIT - 40)).status).to.equal(200);
    expect(await leftOf(sku_id)).to.equal(STOCK_LIMIT);
    await rowsBalance(stack(), sku_id);
  });

  it('sell restocked units after a sell-out, on every gateway', async () => {
    const sku_id = await openHot('restocked', 4);
    for (const number of [0, 1, 2, 3])
      expect(
        (await order(one, `o${number}`, [{ sku_id, order_detail_id: `d${number}`, quantity: 1 }])).status,
      ).to.equal(201);
    for (const gateway of [one, other])
      expect((await order(gateway, 'none', [{ sku_id, order_detail_id: 'none', quantity: 1 }])).body).to.include({
        code: 'insufficient_stock',
      });
    expect((await one.adminPost(path(sku_id, '/adjustments'), { adjustment_id: 'a', delta: 2 })).status).to.equal(201);
    for (const [place, gateway] of [one, other].entries())
      expect(
        (await order(gateway, `p${place}`, [{ sku_id, order_detail_id: `p${place}`, quantity: 1 }])).status,
      ).to.equal(201);
    expect((await order(one, 'o0', [{ sku_id, order_detail_id: 'd0', quantity: 1 }])).status).to.equal(200);
  });

  it('pause all its rows at once, also rows that are added later', async () => {
    const sku_id = await openHot('paused', 1_000);
    const sale = async (state: string): Promise<void> =>
      void expect((await one.adminPut(path(sku_id, '/sale'), { state })).status).to.equal(200);
    await sale('paused');
    const refusedByAll = async (name: string): Promise<void> => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, number) =>
          order(number % 2 === 0 ? one : other, `${name}${number}`, [
            { sku_id, order_detail_id: `${name}${number}`, quantity: 1 },
          ]),
        ),
      );
      for (const { body } of answers) expect(body).to.include({ code: 'not_on_sale' });
    };
    await refusedByAll('a');
    expect((await other.adminPut(path(sku_id, '/hot'), { sub_rows: 16 })).status).to.equal(200);
    await refusedByAll('b');
    await sale('on');
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, number) =>
        order(other, `c${number}`, [{ sku_id, order_detail_id: `c${number}`, quantity: 1 }]),
      ),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal(answers.map(() => 201));
  });

  it('return its whole journal, from all layouts, page by page', async () => {
    const sku_id = await openHot('journal', 500);
    const ids = Array.from({ length: 30 }, (_, number) => `d${number}`);
    for (const [place, id] of ids.entries()) {
      if (place % 10 === 5)
        expect((await other.adminPut(path(sku_id, '/hot'), { sub_rows: 2 + place })).status).to.equal(200);
      expect(
        (await order(place % 2 === 0 ? one : other, `o${id}`, [{ sku_id, order_detail_id: id, quantity: 2 }])).text,
      ).to.include('deducted');
    }
    expect(
      (await one.post('/v1/returns', { return_id: 'r', order_detail_id: 'd3', sku_id, quantity: 1 })).status,
    ).to.equal(201);
    expect((await one.adminPost(path(sku_id, '/adjustments'), { adjustment_id: 'a', delta: 7 })).status).to.equal(201);
    const entries: { kind: string; effect: number; order_detail_id?: string }[] = [];
    for (let cursor: unknown = ''; cursor !== null;) {
      const page = await other.get(path(sku_id, `/flows?limit=7${cursor === '' ? '' : `&cursor=${cursor as string}`}`));
      expect(page.status, page.text).to.equal(200);
      entries.push(...(page.body?.flows as typeof entries));
      cursor = page.body?.next_cursor;
    }
    expect(entries.reduce((sum, { effect }) => sum + effect, 0)).to.equal(500 - 60 + 1 + 7);
    expect(entries.map(({ kind }) => kind).slice(0, 2)).to.have.members(['adjustment', 'return']);
    expect(
      entries.filter(({ kind }) => kind === 'deduction').map(({ order_detail_id }) => order_detail_id),
    ).to.deep.equal([...ids].reverse());
    expect((await one.adminPost('/v1/reconciliations', { sku_id })).body?.differences).to.deep.equal([]);
  });

  it('need after a merge only one row, and neither a layout nor another shard', async () => {
    const sku_id = await openHot('merged', 300);
    for (let number = 0; number < 40; number += 1)
      expect(
        (await order(one, `o${number}`, [{ sku_id, order_detail_id: `d${number}`, quantity: 1 }])).status,
      ).to.equal(201);
    expect((await merge(sku_id)).status).to.equal(200);
    await eventually('it is an ordinary SKU', 10_000, async () => (await layoutOf(stack(), sku_id)).state === 'single');
    expect(await unitsToMove(stack(), sku_id)).to.equal(0);
    const openRows = (await hotRowsOf(stack(), sku_id)).filter(({ intake }) => intake !== 'none');
    expect(openRows).to.have.length(1);
    expect(openRows[0]).to.include({ sub_row: 0, intake: 'any', leaved_amount: 260 });
    // A gateway that has read none of its layouts needs none.
    const late = await startTestGateway();
    try {
      expect((await order(late, 'late', [{ sku_id, order_detail_id: 'late', quantity: 1 }])).status).to.equal(201);
      for (let number = 0; number < 40; number += 1)
        expect(
          (await order(late, `o${number}`, [{ sku_id, order_detail_id: `d${number}`, quantity: 1 }])).status,
        ).to.equal(200);
      expect((await late.get(`/v1/deductions/d5?sku_id=${encodeURIComponent(sku_id)}`)).body).to.include({
        status: 'deducted',
      });
      expect(
        (await late.post('/v1/returns', { return_id: 'r', order_detail_id: 'd5', sku_id, quantity: 1 })).status,
      ).to.equal(201);
      expect(await leftOf(sku_id, late)).to.equal(260);
    } finally {
      await late.stop();
    }
    await rowsBalance(stack(), sku_id);
  });
});
