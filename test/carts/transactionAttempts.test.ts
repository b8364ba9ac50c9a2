import { expect } from 'chai';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import type { Line } from '../../src/core/types.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { completeUntilDone } from '../../src/service/carts/completeUntilDone.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { RECORDS_ONLY_LEVEL } from '../../src/mysql/migrations/schemaLevel.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, endsOf, linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { TRANSACTION_STEPS, YOUNG } from '../support/carts/orderSteps.ts';
import { isDecision, openTransactionBench } from '../support/carts/transactionBench.ts';
import type { TransactionBench } from '../support/carts/transactionBench.ts';
import { transactionsOf } from '../support/carts/transactionRows.ts';
import { openShards } from '../support/engines/engines.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { stack } from '../support/run/setup.ts';

/** Enough that many begin in one millisecond. */
const ORDERS = 40;

describe('several transactions of one gateway or of one order', () => {
  let bench: TransactionBench;
  before(async () => {
    bench = await openTransactionBench();
  });
  after(() => bench.close());

  async function openLines(shards: readonly number[], order_id: string): Promise<Line[]> {
    const sku_ids = shards.map((shard, place) => skuOn(shard, `${order_id}-${place}`));
    for (const sku_id of sku_ids) await bench.open(sku_id, 1);
    return linesOf(sku_ids, order_id);
  }
  const skusOf = (lines: readonly Line[]): string[] => lines.map(({ sku_id }) => sku_id);

  for (const shards of [
    [3, 5],
    [3, 12],
  ]) {
    const where = shards.includes(12) ? 'two servers' : 'one server';
    it(`have records of their own when they begin at the same moment, on ${where}`, async () => {
      const orders = await Promise.all(
        Array.from({ length: ORDERS }, async () => {
          const order_id = fresh('moment');
          return { order_id, lines: await openLines(shards, order_id) };
        }),
      );
      const outcomes = await Promise.all(orders.map(({ order_id, lines }) => bench.sell(order_id, lines)));
      expect(outcomes.map(({ is }) => is)).to.deep.equal(orders.map(() => 'deducted'));
      const records = await Promise.all(orders.map(({ order_id }) => transactionsOf(order_id)));
      expect(records.map(({ length }) => length)).to.deep.equal(orders.map(() => 1));
      expect(new Set(records.flat().map(({ transaction_id }) => transaction_id)).size).to.equal(ORDERS);
      await nothingHeld(
        orders.flatMap(({ lines }) => skusOf(lines)),
        5_000,
      );
    });
  }

  it('end only their own holds: a late completion of the first leaves the hold of the second', async () => {
    const order_id = fresh('attempts');
    const lines = await openLines([3, 12], order_id);
    const [held, own] = [lines.slice(0, 1), lines.slice(1)];
    const first = await TRANSACTION_STEPS.start(bench, order_id, held, own, YOUNG);
    const second = await TRANSACTION_STEPS.start(bench, order_id, held, own, YOUNG);
    expect(await first.hold()).to.deep.equal(['held']);
    expect(await second.hold()).to.deep.equal(['pending']);
    expect(await first.decide('aborted')).to.equal('aborted');
    expect(await first.complete('aborted')).to.deep.equal(['applied']);
    expect(await second.hold()).to.deep.equal(['held']);
    await first.complete('aborted');
    await first.complete('committed');
    const rows = await cartRows(skusOf(lines));
    expect(endsOf(rows, lines)).to.deep.equal(['pending', 'none']);
    expect(rows.stock.get(held[0]?.sku_id ?? '')).to.deep.equal({ leaved: 0, held: 1 });
    expect(await second.decide('committed')).to.equal('committed');
    await second.complete('committed');
    expect(endsOf(await cartRows(skusOf(lines)), lines)).to.deep.equal(['deducted', 'deducted']);
  });

  it('keep their holds after a decision without an answer, because it may have been written', async () => {
    const order_id = fresh('unanswered');
    const lines = await openLines([3, 12, 13], order_id);
    const outcome = await bench.sell(order_id, lines, { around: withUnansweredDecision });
    expect(outcome.is).to.equal('unknown');
    await bench.parts.backgroundTasks.finish(WAIT_MS);
    expect(endsOf(await cartRows(skusOf(lines)), lines)).to.deep.equal(['pending', 'deducted', 'deducted']);
    await age({ order_ids: [], sku_ids: skusOf(lines) });
    await bench.sweeper().sweep();
    expect(endsOf(await cartRows(skusOf(lines)), lines)).to.deep.equal(['deducted', 'deducted', 'deducted']);
  });

  it('give units back once, although a gateway undoes a hold of its own that another has undone', async () => {
    const [order_id, other_id] = [fresh('undone'), fresh('beside')];
    const sku_id = skuOn(3, order_id);
    await bench.open(sku_id, 2);
    const [lines, beside] = [linesOf([sku_id], order_id), linesOf([sku_id], other_id)];
    const started = await TRANSACTION_STEPS.start(bench, order_id, lines);
    // The units that another order holds on the same SKU must not go back instead.
    const another = await TRANSACTION_STEPS.start(bench, other_id, beside, [], YOUNG);
    expect([...(await started.hold()), ...(await another.hold())]).to.deep.equal(['held', 'held']);
    expect(await started.decide('aborted')).to.equal('aborted');
    await started.complete('aborted');
    const ownUndo = { kind: 'settle', ...started.cart, decision: 'aborted', lines, isHeld: true } as const;
    expect(await bench.apply(ownUndo)).to.deep.equal({ is: 'applied', replayed: true });
    expect((await cartRows([sku_id])).stock.get(sku_id)).to.deep.equal({ leaved: 1, held: 1 });
  });

  it('are completed on the shard of their hold when it blocks an order over several shards of one server', async () => {
    const order_id = fresh('blocked');
    // The order that is blocked has most lines on another shard than that of the hold.
    const [held, ...free] = await openLines([3, 4, 4], order_id);
    const own = await openLines([12], `${order_id}-own`);
    if (held === undefined) throw new Error('there is a line on each named shard');
    const started = await TRANSACTION_STEPS.start(bench, order_id, [held], own);
    expect(await started.hold()).to.deep.equal(['held']);
    expect(await started.decide('committed')).to.equal('committed');
    const outcome = await bench.sell(order_id, [held, ...free]);
    expect(outcome.is === 'deducted' ? outcome.lines.map(({ replayed }) => replayed) : outcome).to.deep.equal([
      true,
      false,
      false,
    ]);
    expect(endsOf(await cartRows([held.sku_id]), [held])).to.deep.equal(['deducted']);
  });
});

describe('an order over several servers while older gateways may run', () => {
  const LEVEL_BEFORE = RECORDS_ONLY_LEVEL - 1;
  const setLevel = async (level: number): Promise<void> => {
    const session = await sideSession(12);
    await session.query('UPDATE shard SET schema_level = ?', [level]);
    session.destroy();
  };
  let bench: CartBench;
  before(async () => {
    await setLevel(LEVEL_BEFORE);
    bench = openCartBench(openShards(stack()), 'batching');
    await bench.ready();
  });
  after(async () => {
    bench.close();
    await setLevel(RECORDS_ONLY_LEVEL);
  });

  it('is no transaction, even if only one of its shards serves them', async () => {
    const order_id = fresh('before');
    const sku_ids = [skuOn(3, order_id), skuOn(12, order_id)];
    for (const sku_id of sku_ids) await bench.open(sku_id, 1);
    const lines = linesOf(sku_ids, order_id);
    const { outcome } = await deductOrder(bench.parts, { order_id, lines }, performance.now() + WAIT_MS);
    expect(outcome.is).to.equal('deducted');
    expect(await transactionsOf(order_id)).to.deep.equal([]);
    await nothingHeld(sku_ids, 15_000);
    expect(endsOf(await cartRows(sku_ids), lines)).to.deep.equal(['deducted', 'deducted']);
  });
});

describe('an order over several servers that is sent again by its gateway', () => {
  let bench: TransactionBench;
  before(async () => {
    bench = await openTransactionBench();
  });
  after(() => bench.close());

  it('begins no further transaction once older gateways may work on a shard', async () => {
    const [order_id, other_id] = [fresh('rerouted'), fresh('holder')];
    const sku_ids = [skuOn(3, order_id), skuOn(12, order_id)];
    for (const sku_id of sku_ids) await bench.open(sku_id, 1);
    const [first = ''] = sku_ids;
    const holder = await TRANSACTION_STEPS.start(bench, other_id, linesOf([first], other_id), [], YOUNG);
    expect(await holder.hold()).to.deep.equal(['held']);
    let asked = 0;
    // Usable when the way is chosen and for the first attempt, which meets the hold of the other order.
    const around = (parts: ServicePorts): ServicePorts => {
      const { records } = parts;
      const areUsable = (): boolean => (asked += 1) <= 2;
      return {
        ...parts,
        records: {
          areUsable,
          begin: (coordinator) => records.begin(coordinator),
          resolve: (...given) => records.resolve(...given),
          deleteAborted: (...given) => records.deleteAborted(...given),
        },
      };
    };
    const outcome = await bench.sell(order_id, linesOf(sku_ids, order_id), { around });
    expect(outcome).to.deep.equal({ is: 'not_done', reason: 'older gateways may work on a shard of the order' });
    expect(asked).to.equal(3);
    await holder.decide('aborted');
    await holder.complete('aborted');
    await nothingHeld(sku_ids, 15_000);
  });

  it('is completed with growing pauses while a server does not answer', async () => {
    const order_id = fresh('unreachable');
    const lines = linesOf([skuOn(3, order_id)], order_id).map((line) => ({ ...line, shard: 3 }));
    let calls = 0;
    const notDone = () => {
      calls += 1;
      return Promise.resolve([{ is: 'not_done', reason: 'no answer' }] as never);
    };
    const engine = { ...bench.parts.engine, groupOf: () => null, apply: notDone, applyJointly: notDone };
    await completeUntilDone({ ...bench.parts, engine }, { order_id, attempt: 1 }, lines, 'aborted');
    expect(calls).to.be.within(4, 30);
  });
});

/** Decisions are written and their answers are lost. */
function withUnansweredDecision(parts: ServicePorts): ServicePorts {
  const { engine } = parts;
  const applyJointly: StockEngine['applyJointly'] = async (operations, deadlineMs) => {
    const outcome = await engine.applyJointly(operations, deadlineMs);
    const isLost = isDecision({ kind: 'deduct', parts: operations, deadlineMs });
    return isLost ? ({ is: 'unknown', reason: 'the answer was lost' } as typeof outcome) : outcome;
  };
  const apply: StockEngine['apply'] = (shard, operations, deadlineMs) => engine.apply(shard, operations, deadlineMs);
  return { ...parts, engine: { groupOf: (shard) => engine.groupOf(shard), apply, applyJointly } };
}
