import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { STOCK_LIMIT } from '../../src/core/types.ts';
import type { CartRecords } from '../../src/core/ports/cartRecords.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { expectWhole, FREE_MS, sendCart, wordOf } from '../support/carts/cartCustomers.ts';
import { age, cartRows, linesOf, nothingHeld, recordsOf } from '../support/carts/cartRows.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { restockAsBefore } from '../support/engines/olderRestock.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';

/** Orders that wait for one unit at the same time. */
const CROWD = 200;
const SAME_ORDER_CLIENTS = 40;
const SLOW_MS = 500;
const REQUEST_MS = 3_000;
/** For a busy machine. */
const SLACK_MS = 1_500;

describe('cart faults', () => {
  let bench: CartBench;
  let gateway: TestGateway;
  before(async () => {
    bench = openCartBench();
    gateway = await startTestGateway();
  });
  after(async () => {
    bench.close();
    await gateway.stop();
  });

  const adjust = (sku_id: string, adjustment_id: string, delta: number) =>
    gateway.adminPost(`/v1/skus/${encodeURIComponent(sku_id)}/adjustments`, { adjustment_id, delta });

  it('accepts an abort that another gateway decided first, and sells with the next attempt', async () => {
    const order_id = fresh('order');
    const sku_ids = [3, 10].map((shard) => skuOn(shard, order_id));
    for (const sku_id of sku_ids) await bench.open(sku_id, 1);
    const first = { order_id, attempt: 1 };
    const { carts } = bench;
    const late: CartRecords = {
      begin: (...given) => carts.begin(...given),
      resolve: (...given) => carts.resolve(...given),
      findUnfinished: (...given) => carts.findUnfinished(...given),
      async decide(shard, cart, decision, deadlineMs) {
        if (cart.attempt === first.attempt) await carts.decide(shard, first, 'aborted', deadlineMs);
        return carts.decide(shard, cart, decision, deadlineMs);
      },
    };
    const lines = linesOf(sku_ids, order_id);
    const { outcome } = await deductOrder(
      { ...bench.parts, carts: late },
      { order_id, lines },
      performance.now() + WAIT_MS,
    );
    expect(outcome.is).to.equal('deducted');
    expect(await recordsOf(order_id)).to.deep.equal(['aborted', 'committed']);
    await nothingHeld(sku_ids, FREE_MS);
    const rows = await cartRows(sku_ids);
    expect([...rows.flows.values()].map(({ status, attempt }) => `${status} ${attempt}`)).to.deep.equal([
      'deducted 2',
      'deducted 2',
    ]);
  });

  it('undoes a hold even after a restock at the stock limit', async () => {
    const sku_id = skuOn(3, fresh('full'));
    const cart = { order_id: fresh('order'), attempt: 1 };
    const lines = linesOf([sku_id], cart.order_id);
    await bench.open(sku_id, STOCK_LIMIT);
    await bench.carts.begin(
      bench.shardOf(cart.order_id),
      { order_id: cart.order_id, lines },
      false,
      performance.now() + WAIT_MS,
    );
    expect((await bench.apply({ kind: 'hold', ...cart, lines })).is).to.equal('held');
    const restocked = await adjust(sku_id, 'more', 1);
    await bench.carts.decide(bench.shardOf(cart.order_id), cart, 'aborted', performance.now() + WAIT_MS);
    const undone = await bench.apply({ kind: 'settle', ...cart, decision: 'aborted', lines });
    expect(undone.is, `after a restock that was answered ${wordOf(restocked)}`).to.equal('applied');
    await nothingHeld([sku_id], FREE_MS);
  });

  it('refuses a cancellation when its units would pass the stock limit', async () => {
    const sku_id = skuOn(3, fresh('full'));
    const order_id = fresh('order');
    await bench.open(sku_id, STOCK_LIMIT);
    expect(wordOf((await sendCart(gateway, order_id, linesOf([sku_id], order_id))).answer)).to.equal('201');
    await restockAsBefore(sku_id, 1);
    const answer = await gateway.post('/v1/cancellations', {
      order_id,
      lines: [{ sku_id, order_detail_id: order_id }],
    });
    expect(wordOf(answer)).to.equal('stock_limit');
  });

  it('sweeps newer holds although the records of older holds cannot be read', async () => {
    const rowsMax = 3;
    const stuck = Array.from({ length: rowsMax }, () => fresh('stuck'));
    const free = fresh('free');
    const sku_ids = [...stuck, free].map((name) => skuOn(5, name));
    for (const [place, order_id] of [...stuck, free].entries()) {
      const sku_id = sku_ids[place] ?? '';
      await bench.open(sku_id, 1);
      await bench.apply({ kind: 'hold', order_id, attempt: 1, lines: linesOf([sku_id], order_id) });
      await age({ order_ids: [], sku_ids: [sku_id] });
    }
    // The shards of those records do not answer.
    const around = (parts: ServicePorts): ServicePorts => ({
      ...parts,
      carts: {
        begin: (...given) => parts.carts.begin(...given),
        decide: (...given) => parts.carts.decide(...given),
        findUnfinished: (...given) => parts.carts.findUnfinished(...given),
        resolve: async (shard, cart, deadlineMs) =>
          stuck.includes(cart.order_id)
            ? { is: 'not_done', reason: 'away' }
            : parts.carts.resolve(shard, cart, deadlineMs),
      },
    });
    const sweeper = bench.sweeper({ rowsMax, around });
    for (let round = 0; round < 5; round += 1) await sweeper.sweep();
    const held = (await cartRows(sku_ids.slice(-1))).stock.get(sku_ids.at(-1) ?? '')?.held;
    await bench.sweeper().sweep();
    expect(held, 'units still held although their record can be read').to.equal(0);
  });

  it('leaves connections for other orders on the shard of a locked record', async () => {
    const order_id = fresh('locked');
    const ownerShard = bench.shardOf(order_id);
    const [first, second, neighbour] = [(ownerShard + 1) % 16, (ownerShard + 2) % 16, ownerShard].map((shard) =>
      skuOn(shard, order_id),
    );
    for (const sku_id of [first, second, neighbour]) await bench.open(sku_id ?? '', 100);
    const session = await sideSession(ownerShard);
    await session.query('BEGIN');
    await session.query(
      "INSERT INTO cart (order_id, attempt, token, state, order_lines) VALUES (?, 1, REPEAT('x', 16), 'aborted', '[]')",
      [Buffer.from(order_id)],
    );
    const lines = linesOf([first ?? '', second ?? ''], order_id);
    const same = Array.from({ length: SAME_ORDER_CLIENTS }, () => sendCart(gateway, order_id, lines));
    // After this time all of them wait, at whatever step.
    await sleep(SLOW_MS);
    const answer = await gateway.deduct({ sku_id: neighbour ?? '', order_detail_id: fresh('neighbour'), quantity: 1 });
    session.destroy();
    await Promise.all(same);
    expect(wordOf(answer)).to.equal('201');
  });

  it('sells a slow cart although many orders wait for the units that it holds', async () => {
    const name = fresh('crowd');
    const [wanted, slow] = [skuOn(2, name), skuOn(10, name)];
    await bench.open(wanted, 1);
    await bench.open(slow, 1);
    const session = await sideSession(10);
    await session.query('BEGIN');
    await session.query('SELECT 1 FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(slow)]);
    const cart = sendCart(gateway, name, linesOf([wanted, slow], name));
    await eventually('the unit is held', FREE_MS, async () => (await cartRows([wanted])).holds === 1);
    const crowd = Array.from({ length: CROWD }, () =>
      gateway.deduct({ sku_id: wanted, order_detail_id: fresh('buyer'), quantity: 1 }),
    );
    await sleep(SLOW_MS);
    session.destroy();
    const sent = await cart;
    expect(wordOf(sent.answer)).to.equal('201');
    for (const answer of await Promise.all(crowd))
      expect(wordOf(answer)).to.be.oneOf(['insufficient_stock', 'overloaded']);
    await expectWhole(
      [sent],
      new Map([
        [wanted, 1],
        [slow, 1],
      ]),
    );
  });

  it('answers within the request time and some slack when a shard stops answering during its hold', async () => {
    const own = await ownShards({ count: 2, migrated: true });
    const target = (await own.load())[1]?.address;
    const proxy = await startWireProxy({ host: target?.host ?? '', port: target?.port ?? 0 });
    own.rewrite(({ shards }) => Object.assign(shards[1]?.primary ?? {}, { host: '127.0.0.1', port: proxy.port }));
    const behind = await startTestGateway({}, own);
    try {
      const name = fresh('silent');
      const sku_ids = [skuOn(0, name, 2), skuOn(1, name, 2)];
      for (const sku_id of sku_ids) await behind.openSku(sku_id, 1);
      // The COMMIT of the hold is not answered, nor is anything after it.
      proxy.arm('silent');
      const beganMs = performance.now();
      const order = sendCart(behind, orderOn(0, name), linesOf(sku_ids, name));
      await eventually('the hold is committed', FREE_MS, () => proxy.cutsDone === 1);
      proxy.setSilent(true);
      const { answer } = await order;
      const tookMs = performance.now() - beganMs;
      expect(wordOf(answer)).to.be.oneOf(['overloaded', 'outcome_unknown']);
      expect(tookMs, 'milliseconds').to.be.below(REQUEST_MS + SLACK_MS);
    } finally {
      proxy.setSilent(false);
      await behind.stop();
      await proxy.close();
      await own.drop();
    }
  });

  /** @returns the id of an order whose record is on the given one of two shards */
  function orderOn(shard: number, prefix: string): string {
    return skuOn(shard, `${prefix}-order`, 2);
  }
});
