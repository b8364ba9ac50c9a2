import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Line, OrderTransaction } from '../../src/core/types.ts';
import type { Deduct, ShardOperation } from '../../src/core/operation.ts';
import type { OutcomeOf } from '../../src/core/outcome.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { completeHolds } from '../../src/service/carts/completeHolds.ts';
import { deductParts } from '../../src/service/carts/orderParts.ts';
import { cartRows, endsOf, linesOf } from '../support/carts/cartRows.ts';
import {
  ABANDONED_MS,
  isDecision,
  movedBack,
  openTransactionBench,
  SECOND_SERVER,
  transactionOf,
  withOlderTransactions,
  withSteps,
} from '../support/carts/transactionBench.ts';
import type { TransactionBench } from '../support/carts/transactionBench.ts';
import { ageAborted, transactionsOf } from '../support/carts/transactionRows.ts';
import { openShards } from '../support/engines/engines.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { eventually } from '../support/run/eventually.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

/** Packets that were kept back have arrived, and their transactions have ended. */
const ARRIVED_MS = 1_500;
const KEPT_SECONDS = 60;
/** The deadline of the packets of such a request passes before the server ends a silent session, after two seconds. */
const LATE_REQUEST_MS = 1_450;

describe('an order over several shards, on a wire that fails', () => {
  /** The proxies of the two servers. */
  let proxies: readonly [WireProxy, WireProxy];
  /** Reaches the servers through the proxies. */
  let bench: TransactionBench;
  let other: TransactionBench;
  before(async () => {
    const [first, second] = stack().cluster.servers;
    if (first === undefined || second === undefined) throw new Error('the shared stack has two servers');
    proxies = [await startWireProxy(first), await startWireProxy(second)];
    const shards = stack().shards.map((shard, index) => ({
      ...shard,
      address: { ...shard.address, port: proxies[index < SECOND_SERVER ? 0 : 1].port },
    }));
    bench = await openTransactionBench(openShards({ ...stack(), shards }));
    other = await openTransactionBench();
  });
  after(async () => {
    bench.close();
    other.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  const map = new SlotMap(16);
  async function openOrder(shards: readonly number[], units = 1) {
    const order_id = fresh('wire');
    const sku_ids = shards.map((shard) => skuOn(shard, order_id));
    for (const sku_id of sku_ids) await other.open(sku_id, units);
    return { order_id, sku_ids, lines: linesOf(sku_ids, order_id) };
  }
  const stockOf = async (sku_ids: readonly string[]) => {
    const { stock } = await cartRows(sku_ids);
    return sku_ids.map((sku_id) => stock.get(sku_id));
  };
  /** The parts of an order on one server, with the record on the first shard. */
  const partsOf = (
    order: { order_id: string; lines: readonly Line[] },
    transaction: OrderTransaction,
    isDecision: boolean,
  ): ShardOperation<Deduct>[] => {
    const lines = order.lines.map((line) => ({ ...line, shard: map.shardOf(line.sku_id) }));
    return deductParts({ order_id: order.order_id, lines }, lines, transaction, isDecision);
  };
  const apply = (
    parts: readonly ShardOperation<Deduct>[],
    deadlineMs = performance.now() + 3_000,
  ): Promise<OutcomeOf<Deduct>> => other.parts.engine.applyJointly(parts, deadlineMs);

  it('is not sold by a decision that arrives after its holds were undone and its record deleted (rule 3)', async () => {
    const order = await openOrder([3, 12, 13], 2);
    // The gateway has read the rows, so its decision is one packet.
    expect((await bench.sell(fresh('before'), linesOf(order.sku_ids, fresh('before')))).is).to.equal('deducted');
    let sentMs = 0;
    let transaction: OrderTransaction | undefined;
    const sold = bench.sell(order.order_id, order.lines, {
      ms: LATE_REQUEST_MS,
      around: (parts) =>
        withSteps({
          before: (step) => {
            if (!isDecision(step)) return;
            proxies[1].setHeld(true);
            [sentMs, transaction] = [performance.now(), transactionOf(step)];
          },
        })(withOlderTransactions(ABANDONED_MS + 1_000)(parts)),
    });
    try {
      await eventually('the decision is sent', LATE_REQUEST_MS, () => sentMs > 0);
      const deadline = (): number => performance.now() + LATE_REQUEST_MS;
      const [held] = order.lines;
      if (held === undefined || transaction === undefined) throw new Error('the order has a transaction');
      const hold = { ...held, order_id: order.order_id, attempt: 0, transaction, shard: 3 };
      await eventually(
        'the hold is undone',
        LATE_REQUEST_MS,
        async () => (await completeHolds(other.parts, [hold], deadline())) === 'settled',
      );
      await ageAborted(KEPT_SECONDS);
      // Other tests leave aborted records too.
      expect((await other.parts.records.deleteAborted(12, 1_000, deadline())).is).to.equal('deleted');
      expect(await transactionsOf(order.order_id)).to.deep.equal([]);
      // Past the deadline of the packet, and before its session ends because it was silent.
      await sleep(Math.max(0, sentMs + LATE_REQUEST_MS + 50 - performance.now()));
    } finally {
      proxies[1].setHeld(false);
    }
    expect((await sold).is).to.be.oneOf(['unknown', 'not_done']);
    await sleep(ARRIVED_MS);
    expect(await transactionsOf(order.order_id)).to.deep.equal([]);
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['none', 'none', 'none']);
    expect(await stockOf(order.sku_ids)).to.deep.equal(order.sku_ids.map(() => ({ leaved: 1, held: 0 })));
  });

  it('is not sold when the ids of its last part were inserted after the deadline (rule 3)', async () => {
    const order = await openOrder([3, 5]);
    const side = await sideSession(5);
    await side.beginTransaction();
    await side.query(
      'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
      [order.sku_ids[1] ?? '', order.order_id, 'another'].map((text) => Buffer.from(text)),
    );
    const transaction = other.parts.records.begin(3);
    const sold = apply(partsOf(order, transaction, false), performance.now() + 800);
    await sleep(850);
    await side.rollback();
    side.destroy();
    expect((await sold).is).to.be.oneOf(['not_done', 'unknown']);
    await sleep(ARRIVED_MS);
    expect(await transactionsOf(order.order_id)).to.deep.equal([]);
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['none', 'none']);
  });

  for (const cut of ['before', 'after'] as const) {
    it(`is answered by its record when one part has only replays; cut ${cut} the batch (rule 4)`, async () => {
      const order = await openOrder([3, 5], 9);
      // The first line is sold already, by itself.
      expect((await other.sell(order.order_id, order.lines.slice(0, 1))).is).to.equal('deducted');
      const outcome = await bench.sell(order.order_id, order.lines, {
        around: withSteps({ before: (step) => (isDecision(step) ? proxies[0].arm(cut) : undefined) }),
      });
      const isSold = cut === 'after';
      expect(outcome.is).to.equal(isSold ? 'deducted' : 'not_done');
      if (outcome.is === 'deducted') expect(outcome.lines.map(({ replayed }) => replayed)).to.deep.equal([true, false]);
      expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal([
        'deducted',
        isSold ? 'deducted' : 'none',
      ]);
      expect(await transactionsOf(order.order_id)).to.have.lengthOf(isSold ? 1 : 0);
      expect(proxies[0].cutsDone).to.be.above(0);
    });
  }

  it('is not answered as sold by its own attempt when another gateway has sold it meanwhile (rule 4)', async () => {
    const order = await openOrder([3, 5], 9);
    let rival: Promise<unknown> = Promise.resolve();
    const outcome = await bench.sell(order.order_id, order.lines, {
      around: withSteps({
        before: (step) => {
          if (!isDecision(step)) return;
          proxies[0].arm('before');
          rival = sleep(100).then(() => other.sell(order.order_id, order.lines));
        },
      }),
    });
    expect(await rival).to.deep.include({ is: 'deducted' });
    expect(outcome.is).to.equal('not_done');
    const again = await bench.sell(order.order_id, order.lines);
    expect(again.is === 'deducted' && again.lines.every(({ replayed }) => replayed)).to.equal(true);
    expect(await stockOf(order.sku_ids)).to.deep.equal(order.sku_ids.map(() => ({ leaved: 8, held: 0 })));
    expect(await transactionsOf(order.order_id)).to.have.lengthOf(1);
  });

  for (const isKnown of [true, false]) {
    const how = isKnown ? 'decided without a read' : 'read first';
    it(`fails alone in its batch when its transaction was aborted, ${how} (rule 7)`, async () => {
      const aborted = await openOrder([3, 5], 1_000);
      const orders = Array.from({ length: 40 }, () => ({ ...aborted, order_id: fresh('beside') })).map((order) => ({
        order_id: order.order_id,
        lines: linesOf(aborted.sku_ids, order.order_id),
      }));
      if (isKnown) await other.sell(fresh('known'), linesOf(aborted.sku_ids, 'known'));
      const old = movedBack(other.parts.records.begin(3), ABANDONED_MS + 1_000);
      const resolved = await bench.parts.records.resolve(old, aborted.order_id, performance.now() + 3_000);
      expect(resolved).to.deep.equal({ is: 'judged', state: 'aborted' });
      const [late, ...beside] = await Promise.all([
        apply(partsOf(aborted, old, true)),
        ...orders.map((order, number) =>
          number % 2 === 0
            ? other.sell(order.order_id, order.lines.slice(0, 1))
            : apply(partsOf(order, other.parts.records.begin(3), number % 4 === 1)),
        ),
      ]);
      expect(late).to.deep.include({ is: 'not_done', isAborted: true });
      expect(beside.map(({ is }) => is)).to.deep.equal(beside.map(() => 'deducted'));
      expect(endsOf(await cartRows(aborted.sku_ids), aborted.lines)).to.deep.equal(['none', 'none']);
    });
  }
});
