import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { STOCK_LIMIT } from '../../src/core/types.ts';
import type { CartRecords } from '../../src/core/ports/cartRecords.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import type { OrderRecords } from '../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { expectWhole, FREE_MS, sendCart, wordOf } from '../support/carts/cartCustomers.ts';
import { age, cartRows, decisionsOf, linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { ALL_STEPS, older, TRANSACTION_STEPS } from '../support/carts/orderSteps.ts';
import { HOLDING_PROTOCOLS, IN_TRANSACTION, startProtocolGateway, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import type { Protocol } from '../support/carts/protocols.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { restockAsBefore } from '../support/engines/olderRestock.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

/** Orders that wait for one unit at the same time. */
const CROWD = 200;
const SAME_ORDER_CLIENTS = 40;
const SLOW_MS = 500;

describe('cart faults', () => {
  let bench: CartBench;
  let gateway: TestGateway;
  let withAttempts: TestGateway;
  before(async () => {
    bench = openCartBench(undefined, 'batching');
    gateway = await startProtocolGateway(IN_TRANSACTION);
    withAttempts = await startProtocolGateway(WITH_ATTEMPTS);
    await bench.ready();
  });
  after(async () => {
    bench.close();
    await Promise.all([gateway, withAttempts].map((one) => one.stop()));
  });

  const sessions: Awaited<ReturnType<typeof sideSession>>[] = [];
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy();
  });
  /** A session of the test with an open transaction, which ends with the test at the latest. */
  const openTransaction = async (shard: number): ReturnType<typeof sideSession> => {
    const session = await sideSession(shard);
    sessions.push(session);
    await session.query('BEGIN');
    return session;
  };
  const gatewayOf = (protocol: Protocol): TestGateway => (protocol === WITH_ATTEMPTS ? withAttempts : gateway);
  const adjust = (sku_id: string, adjustment_id: string, delta: number) =>
    gateway.adminPost(`/v1/skus/${encodeURIComponent(sku_id)}/adjustments`, { adjustment_id, delta });

  /** Another gateway aborts the first attempt of an order just before its decision. */
  const abortsFirst = (parts: ServicePorts): ServicePorts => {
    const { carts, records, engine } = parts;
    let [begun, isAborted] = [0, false];
    const lateCarts: CartRecords = {
      begin: (...given) => carts.begin(...given),
      resolve: (...given) => carts.resolve(...given),
      findUnfinished: (...given) => carts.findUnfinished(...given),
      async decide(shard, cart, decision, deadlineMs) {
        if (cart.attempt === 1) await carts.decide(shard, cart, 'aborted', deadlineMs);
        return carts.decide(shard, cart, decision, deadlineMs);
      },
    };
    const oldRecords: OrderRecords = {
      begin: (shard) => older(records.begin(shard), (begun += 1) === 1 ? WAIT_MS : 0),
      areUsable: (shards) => records.areUsable(shards),
      resolve: (...given) => records.resolve(...given),
      deleteAborted: (...given) => records.deleteAborted(...given),
    };
    const lateEngine: StockEngine = {
      apply: (...given) => engine.apply(...given),
      groupOf: (shard) => engine.groupOf(shard),
      async applyJointly(given, deadlineMs) {
        for (const { operation } of given) {
          if (operation.kind !== 'deduct' || operation.transaction === undefined || isAborted) continue;
          isAborted = true;
          await records.resolve(operation.transaction, operation.order_id, deadlineMs);
        }
        return engine.applyJointly(given, deadlineMs);
      },
    };
    return { ...parts, carts: lateCarts, records: oldRecords, engine: lateEngine };
  };

  for (const protocol of HOLDING_PROTOCOLS) {
    const what = 'an abort that another gateway decided first';
    it(`accepts ${what}, and sells with the next attempt: ${protocol.name}`, async () => {
      const order_id = fresh('order');
      const sku_ids = protocol.shards.slice(0, 2).map((shard) => skuOn(shard, order_id));
      for (const sku_id of sku_ids) await bench.open(sku_id, 1);
      const lines = linesOf(sku_ids, order_id);
      const { outcome } = await deductOrder(
        protocol.around(abortsFirst(bench.parts)),
        { order_id, lines },
        performance.now() + WAIT_MS,
      );
      expect(outcome.is).to.equal('deducted');
      expect(await decisionsOf(order_id, sku_ids)).to.deep.equal(['aborted', 'committed']);
      await nothingHeld(sku_ids, FREE_MS);
      const rows = await cartRows(sku_ids);
      const attempt = protocol === WITH_ATTEMPTS ? 2 : 0;
      expect([...rows.flows.values()].map((flow) => [flow.status, flow.attempt])).to.deep.equal([
        ['deducted', attempt],
        ['deducted', attempt],
      ]);
    });
  }

  for (const steps of ALL_STEPS) {
    it(`undoes a hold even after a restock at the stock limit: ${steps.name}`, async () => {
      const sku_id = skuOn(3, fresh('full'));
      const order_id = fresh('order');
      await bench.open(sku_id, STOCK_LIMIT);
      const started = await steps.start(bench, order_id, linesOf([sku_id], order_id));
      expect(await started.hold()).to.deep.equal(['held']);
      const restocked = await adjust(sku_id, 'more', 1);
      expect(await started.decide('aborted')).to.equal('aborted');
      const undone = await started.complete('aborted');
      expect(undone, `after a restock that was answered ${wordOf(restocked)}`).to.deep.equal(['applied']);
      await nothingHeld([sku_id], FREE_MS);
    });
  }

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

  for (const steps of ALL_STEPS) {
    it(`sweeps newer holds although the records of older holds cannot be read: ${steps.name}`, async () => {
      const rowsMax = 3;
      const stuck = Array.from({ length: rowsMax }, () => fresh('stuck'));
      const free = fresh('free');
      const sku_ids = [...stuck, free].map((name) => skuOn(5, name));
      for (const [place, order_id] of [...stuck, free].entries()) {
        const sku_id = sku_ids[place] ?? '';
        await bench.open(sku_id, 1);
        const started = await steps.start(bench, order_id, linesOf([sku_id], order_id), [], { hasRecord: false });
        expect(await started.hold()).to.deep.equal(['held']);
        await age({ order_ids: [], sku_ids: [sku_id] });
      }
      // The shards of those records do not answer.
      const away = { is: 'not_done', reason: 'away' } as const;
      const around = ({ carts, records, ...parts }: ServicePorts): ServicePorts => ({
        ...parts,
        carts: {
          begin: (...given) => carts.begin(...given),
          decide: (...given) => carts.decide(...given),
          findUnfinished: (...given) => carts.findUnfinished(...given),
          resolve: async (shard, cart, deadlineMs) =>
            stuck.includes(cart.order_id) ? away : carts.resolve(shard, cart, deadlineMs),
        },
        records: {
          begin: (shard) => records.begin(shard),
          areUsable: (shards) => records.areUsable(shards),
          deleteAborted: (...given) => records.deleteAborted(...given),
          resolve: async (transaction, order_id, deadlineMs) =>
            stuck.includes(order_id) ? away : records.resolve(transaction, order_id, deadlineMs),
        },
      });
      const sweeper = bench.sweeper({ rowsMax, around });
      for (let round = 0; round < 5; round += 1) await sweeper.sweep();
      const held = (await cartRows(sku_ids.slice(-1))).stock.get(sku_ids.at(-1) ?? '')?.held;
      await bench.sweeper().sweep();
      expect(held, 'units still held although their record can be read').to.equal(0);
    });
  }

  it('leaves connections for other orders on the shard of a locked record: a cart with attempts', async () => {
    const order_id = fresh('locked');
    const ownerShard = bench.shardOf(order_id);
    const [first = '', second = ''] = [1, 2].map((more) => skuOn((ownerShard + more) % 16, order_id));
    for (const sku_id of [first, second]) await bench.open(sku_id, 100);
    const lines = linesOf([first, second], order_id);
    await expectNeighbourSold(
      withAttempts,
      ownerShard,
      "INSERT INTO cart (order_id, attempt, token, state, order_lines) VALUES (?, 1, REPEAT('x', 16), 'aborted', '[]')",
      [Buffer.from(order_id)],
      () => sendCart(withAttempts, order_id, lines),
    );
  });

  it('leaves connections for other orders on the shard of a locked record: a transaction', async () => {
    const order_id = fresh('locked');
    const ownerShard = bench.shardOf(order_id);
    const wanted = skuOn((ownerShard + 1) % 16, order_id);
    await bench.open(wanted, 1);
    const started = await TRANSACTION_STEPS.start(bench, order_id, linesOf([wanted], order_id));
    expect(await started.hold()).to.deep.equal(['held']);
    // All of them find the hold, and read the record that is being written.
    await expectNeighbourSold(
      gateway,
      ownerShard,
      "INSERT INTO order_record (transaction_id, state, order_id, order_lines) VALUES (?, 'committed', ?, '[]')",
      [Buffer.from(started.cart.transaction?.transaction_id ?? '', 'hex'), Buffer.from(order_id)],
      () => sendCart(gateway, fresh('buyer'), linesOf([wanted], fresh('buyer'))),
    );
  });

  /** While a transaction that is not committed locks a record, many orders wait for it, and another one is sold. */
  async function expectNeighbourSold(
    by: TestGateway,
    shard: number,
    insertRecord: string,
    values: readonly Buffer[],
    sendOne: () => Promise<unknown>,
  ): Promise<void> {
    const neighbour = skuOn(shard, fresh('neighbour'));
    await bench.open(neighbour, 100);
    const session = await openTransaction(shard);
    await session.query(insertRecord, [...values]);
    const waiting = Array.from({ length: SAME_ORDER_CLIENTS }, sendOne);
    // After this time all of them wait, at whatever step.
    await sleep(SLOW_MS);
    const answer = await by.deduct({ sku_id: neighbour, order_detail_id: fresh('neighbour'), quantity: 1 });
    session.destroy();
    await Promise.all(waiting);
    expect(wordOf(answer)).to.equal('201');
  }

  for (const protocol of HOLDING_PROTOCOLS) {
    it(`sells a slow cart although many orders wait for the units that it holds: ${protocol.name}`, async () => {
      const [name, by] = [fresh('crowd'), gatewayOf(protocol)];
      const [first, second] = protocol.shards;
      const [wanted, slow] = [skuOn(first, name), skuOn(second, name)];
      await bench.open(wanted, 1);
      await bench.open(slow, 1);
      const session = await openTransaction(second);
      await session.query('SELECT 1 FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(slow)]);
      const cart = sendCart(by, name, linesOf([wanted, slow], name));
      await eventually('the unit is held', FREE_MS, async () => (await cartRows([wanted])).holds === 1);
      const crowd = Array.from({ length: CROWD }, () =>
        by.deduct({ sku_id: wanted, order_detail_id: fresh('buyer'), quantity: 1 }),
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
  }
});
