import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { rowOfId } from '../../src/core/hot/layout.ts';
import type { CompleteLines, Deduct, HoldLines } from '../../src/core/operation.ts';
import type { CommitDecision, Line, OrderTransaction } from '../../src/core/types.ts';
import { BatchingEngine } from '../../src/mysql/batching/batchingEngine.ts';
import { OrderRecordStore } from '../../src/mysql/carts/orderRecordStore.ts';
import { Shard } from '../../src/mysql/shard.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import { cartRows, endsOf, linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { SECOND_SERVER } from '../support/carts/transactionBench.ts';
import { wordOf } from '../support/carts/cartCustomers.ts';
import { openShards } from '../support/engines/engines.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import { rowsBalance } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

const REQUEST_MS = 4_000;
/** Operations that may wait for a shard. */
const WAITING_MAX = 20;
/** A refusal of an order that no completion delays. */
const REFUSED_MS = 1_000;

describe('holds under load', () => {
  const shard = 3;
  let proxy: WireProxy;
  let shards: readonly Shard[];
  let engine: BatchingEngine;
  let records: OrderRecordStore;
  before(async () => {
    const [server] = stack().cluster.servers;
    if (server === undefined) throw new Error('the shared stack has servers');
    proxy = await startWireProxy(server);
    const behind = stack().shards.map((one, index) => ({
      ...one,
      waiting_max: WAITING_MAX,
      address: index < SECOND_SERVER ? { ...one.address, port: proxy.port } : one.address,
    }));
    shards = openShards({ ...stack(), shards: behind });
    await Promise.all(shards.map(({ tried }) => tried));
    engine = new BatchingEngine(shards);
    records = new OrderRecordStore(shards);
  });
  after(async () => {
    for (const { pool } of shards) pool.close();
    await proxy.close();
  });

  const deadline = (): number => performance.now() + REQUEST_MS;
  const open = async (units: number): Promise<string> => {
    const sku_id = skuOn(shard, fresh('load'));
    const [outcome] = await engine.apply(shard, [{ kind: 'open', sku_id, leaved_amount: units }], deadline());
    expect(outcome?.is).to.equal('applied');
    return sku_id;
  };
  const sell = async (sku_id: string, quantity = 1): Promise<string> => {
    const order_id = fresh('plain');
    const lines = [{ sku_id, order_detail_id: order_id, quantity }];
    const [outcome] = await engine.apply(shard, [{ kind: 'deduct', order_id, lines } satisfies Deduct], deadline());
    return outcome?.is ?? 'none';
  };
  interface Held {
    readonly order_id: string;
    readonly lines: readonly Line[];
    readonly transaction: OrderTransaction;
  }
  const hold = async (sku_id: string): Promise<Held> => {
    const order_id = fresh('held');
    const held = { order_id, lines: linesOf([sku_id], order_id), transaction: records.begin(12) };
    const operation: HoldLines = { kind: 'hold', attempt: 0, ...held };
    const [outcome] = await engine.apply(shard, [operation], deadline());
    expect(outcome?.is).to.equal('held');
    return held;
  };
  const complete = async (held: Held, decision: CommitDecision): Promise<string> => {
    const operation: CompleteLines = { kind: 'settle', attempt: 0, ...held, decision, isHeld: true };
    const [outcome] = await engine.apply(shard, [operation], deadline());
    return outcome?.is ?? 'none';
  };
  const decide = async (sku_id: string): Promise<string> => {
    const order_id = fresh('decided');
    const lines = linesOf([sku_id], order_id);
    const operation: Deduct = {
      ...{ kind: 'deduct', order_id, lines, transaction: records.begin(shard) },
      ...{ record: lines, isDecision: true },
    };
    return (await engine.applyJointly([{ shard, operation }], deadline())).is;
  };

  it('are decided, completed and undone while the queue of their shard is full (rule 10)', async () => {
    const [busy, held, undone, decided, plain] = await Promise.all([1_000, 9, 9, 9, 9].map((units) => open(units)));
    const [committed, aborted] = [await hold(held ?? ''), await hold(undone ?? '')];
    await sell(busy ?? '');
    proxy.setHeld(true);
    const first = sell(busy ?? '');
    await sleep(20);
    // All with one stock row, which is in the batch under way: they wait.
    const waiting = Array.from({ length: WAITING_MAX }, () => sell(busy ?? ''));
    expect(await sell(plain ?? ''), 'the queue is full').to.equal('not_done');
    const urgent = [complete(committed, 'committed'), complete(aborted, 'aborted'), decide(decided ?? '')];
    await sleep(50);
    proxy.setHeld(false);
    expect(await Promise.all(urgent)).to.deep.equal(['applied', 'applied', 'deducted']);
    expect(await first).to.equal('deducted');
    expect(await Promise.all(waiting)).to.deep.equal(waiting.map(() => 'deducted'));
    const rows = await cartRows([held ?? '', undone ?? '']);
    expect(endsOf(rows, [...committed.lines, ...aborted.lines])).to.deep.equal(['deducted', 'none']);
  });

  it('leave before orders that came earlier (rule 10)', async () => {
    const small = new BatchingEngine(shards, 4);
    const sku_id = await open(1_000);
    const held = await hold(sku_id);
    const ended: string[] = [];
    const note = async (name: string, work: Promise<unknown>): Promise<void> => {
      await work;
      ended.push(name);
    };
    const order = (): Promise<unknown> => {
      const order_id = fresh('early');
      return small.apply(shard, [{ kind: 'deduct', order_id, lines: linesOf([sku_id], order_id) }], deadline());
    };
    await order();
    proxy.setHeld(true);
    const under = order();
    await sleep(20);
    const early = Array.from({ length: 12 }, () => note('order', order()));
    const operation: CompleteLines = { kind: 'settle', attempt: 0, ...held, decision: 'aborted', isHeld: true };
    const late = note('completion', small.apply(shard, [operation], deadline()));
    proxy.setHeld(false);
    await Promise.all([under, ...early, late]);
    expect(ended.slice(0, 4)).to.include('completion');
  });

  it('do not delay the refusal of an order that is short, although their completions leave first', async () => {
    const [sku_id, other] = [await open(50), await open(1_000_000)];
    let isOver = false;
    const whileOpen = async (work: () => Promise<unknown>): Promise<void> => {
      while (!isOver) await work();
    };
    const customers = [
      ...Array.from({ length: 8 }, () => whileOpen(async () => complete(await hold(sku_id), 'aborted'))),
      // Their batches need no read. A batch with a read waits for them, and completions arrive meanwhile.
      ...Array.from({ length: 8 }, () => whileOpen(() => sell(other))),
    ];
    const slow: string[] = [];
    for (let order = 0; order < 20; order += 1) {
      const began = performance.now();
      const is = await sell(sku_id, 1_000);
      const ms = Math.round(performance.now() - began);
      if (is !== 'refused' || ms > REFUSED_MS) slow.push(`${is} after ${ms} ms`);
    }
    isOver = true;
    await Promise.all(customers);
    expect(slow).to.deep.equal([]);
  });

  it('are not sent for any shard of an operation while one of them does not serve (rule 11)', async () => {
    const healthy = openShards(stack());
    const [third, fifth] = [healthy[3], stack().shards[5]];
    if (third === undefined || fifth === undefined) throw new Error('the shared stack has 16 shards');
    // The configuration of this gateway contradicts the shard, so the shard is refused.
    const refused = new Shard({
      ...{ ...fifth, shard: 5, initialShards: stack().initialShards + 1 },
      ...{ statementMs: 1_000, relaxedAllowed: false, onChange: () => undefined },
    });
    healthy[5]?.pool.close();
    const bench = openCartBench(
      healthy.map((one, index) => (index === 5 ? refused : one)),
      'batching',
    );
    await Promise.all([...healthy.slice(0, 5), refused].map(({ tried }) => tried));
    const order_id = fresh('unserved');
    const sku_ids = [3, 5, 4].map((of) => skuOn(of, order_id));
    const plain = openCartBench(openShards(stack()), 'batching');
    try {
      expect([third.isServing, refused.isServing]).to.deep.equal([true, false]);
      for (const sku_id of sku_ids) await plain.open(sku_id, 9);
      const lines = linesOf(sku_ids, order_id);
      const parts = (ofOrder: readonly Line[]) =>
        ofOrder.map((line) => ({
          shard: bench.shardOf(line.sku_id),
          operation: { kind: 'deduct', order_id, lines: [line] } satisfies Deduct,
        }));
      const { engine: mixed } = bench.parts;
      expect((await mixed.applyJointly(parts(lines.slice(0, 2)), deadline())).is).to.equal('not_done');
      expect(endsOf(await cartRows(sku_ids), lines)).to.deep.equal(['none', 'none', 'none']);
      const [first, , last] = lines;
      if (first === undefined || last === undefined) throw new Error('the order has three lines');
      expect((await mixed.applyJointly(parts([first, last]), deadline())).is).to.equal('deducted');
      expect(endsOf(await cartRows(sku_ids), lines)).to.deep.equal(['deducted', 'none', 'deducted']);
    } finally {
      bench.close();
      plain.close();
    }
  });

  it('of an order itself do not count as units that may come back, on rows of two servers (rule 14)', async () => {
    const gateway = await startTestGateway();
    try {
      const sku_id = fresh('own holds');
      const path = `/v1/skus/${encodeURIComponent(sku_id)}`;
      await gateway.openSku(sku_id, 10);
      expect((await gateway.adminPut(`${path}/hot`, { sub_rows: 16 })).status).to.equal(200);
      const { body } = await gateway.get(path);
      const places = (body.sub_rows as { shard: number }[]).map(({ shard: place }) => place);
      /** An id whose row is on the first or the second server. */
      const idOn = (server: number): string => {
        for (;;) {
          const id = fresh('d');
          if (Math.floor(rowOfId(places, id).shard / SECOND_SERVER) === server) return id;
        }
      };
      const words: string[] = [];
      for (const quantities of [
        [6, 6],
        [10, 1],
        [1, 10],
        [6, 4],
        [1, 1],
      ] as const) {
        const lines = quantities.map((quantity, server) => ({ sku_id, order_detail_id: idOn(server), quantity }));
        words.push(wordOf(await gateway.post('/v1/deductions', { order_id: fresh('order'), lines })));
        await nothingHeld([sku_id], 15_000);
      }
      expect(words).to.deep.equal([...Array<string>(3).fill('insufficient_stock'), '201', 'insufficient_stock']);
      await rowsBalance(stack(), sku_id);
    } finally {
      await gateway.stop();
    }
  }).timeout(120_000);
});
