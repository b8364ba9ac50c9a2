import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { slotOf } from '../../src/core/slots.ts';
import { cancelOrder } from '../../src/service/orders/cancelOrder.ts';
import { returnUnits } from '../../src/service/orders/returnUnits.ts';
import { cartRows, endsOf, linesOf, nothingHeld, sweepUntilFree } from '../support/carts/cartRows.ts';
import {
  ABANDONED_MS,
  DEAD,
  diesBeforeCompletion,
  diesBeforeDecision,
  isDecision,
  openTransactionBench,
  transactionOf,
  withOlderTransactions,
  withSteps,
} from '../support/carts/transactionBench.ts';
import type { TransactionBench } from '../support/carts/transactionBench.ts';
import { ageAborted, rowCounts, transactionsOf } from '../support/carts/transactionRows.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { eventually } from '../support/run/eventually.ts';

/** Sweepers of other gateways end a transaction within this time. */
const SWEPT_MS = 30_000;
const DECISION_MS = 4_500;
const KEPT_SECONDS = 60;

describe('the record of an order over several servers', () => {
  let bench: TransactionBench;
  let other: TransactionBench;
  before(async () => {
    [bench, other] = await Promise.all([openTransactionBench(), openTransactionBench()]);
  });
  after(() => {
    bench.close();
    other.close();
  });

  /** One SKU on each of some shards, and an order for one unit of each. */
  async function openOrder(shards: readonly number[], units = 1, order_id = fresh('order')) {
    const sku_ids = shards.map((shard) => skuOn(shard, order_id));
    for (const sku_id of sku_ids) await bench.open(sku_id, units);
    return { order_id, sku_ids, lines: linesOf(sku_ids, order_id) };
  }
  const stockOf = async (sku_ids: readonly string[]) => {
    const { stock } = await cartRows(sku_ids);
    return sku_ids.map((sku_id) => stock.get(sku_id));
  };
  const sweep = async (): Promise<void> => {
    const faults: unknown[] = [];
    await other.sweeper({ faults }).sweep();
    expect(faults).to.deep.equal([]);
  };
  /** Starts to sell an order whose gateway dies. @returns when the step at which it dies is reached */
  async function sellAndDie(
    order: { order_id: string; lines: ReturnType<typeof linesOf> },
    at: 'decision' | 'completion',
  ) {
    const hooks = at === 'decision' ? diesBeforeDecision : diesBeforeCompletion;
    let isReached = false;
    const around = withSteps({
      before: (step) => {
        if (step.kind === 'settle' || (at === 'decision' && isDecision(step))) isReached = true;
        return hooks.before?.(step);
      },
    });
    void bench.sell(order.order_id, order.lines, {
      around: (parts) => around(withOlderTransactions(ABANDONED_MS + 1_000)(parts)),
    });
    await eventually(`the ${at} is reached`, SWEPT_MS, () => isReached);
  }

  it('lies on the shard that the holds name, also when another shard owns the slot of the order (rule 2)', async () => {
    let order_id = fresh('order');
    while (bench.shardOf(order_id) !== 7) order_id = fresh('order');
    const order = await openOrder([3, 12, 13], 1, order_id);
    await sellAndDie(order, 'completion');
    await eventually('the order is sold', SWEPT_MS, async () => (await transactionsOf(order_id)).length === 1);
    expect((await transactionsOf(order_id)).map(({ shard, state }) => [shard, state])).to.deep.equal([
      [12, 'committed'],
    ]);
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['pending', 'deducted', 'deducted']);
    await sleep(1_100);
    await sweepUntilFree(sweep, order.sku_ids, SWEPT_MS);
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['deducted', 'deducted', 'deducted']);
    expect(await transactionsOf(order_id)).to.have.lengthOf(1);
  });

  it('is written also when all lines of the decision are replays', async () => {
    const order = await openOrder([3, 12, 13], 2);
    // A first request sells the lines of the server that coordinates the whole order.
    expect((await bench.sell(order.order_id, order.lines.slice(1))).is).to.equal('deducted');
    await sellAndDie(order, 'completion');
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['pending', 'deducted', 'deducted']);
    await sleep(1_100);
    await sweepUntilFree(sweep, order.sku_ids, SWEPT_MS);
    expect(endsOf(await cartRows(order.sku_ids), order.lines)).to.deep.equal(['deducted', 'deducted', 'deducted']);
    expect(await stockOf(order.sku_ids)).to.deep.equal(order.sku_ids.map(() => ({ leaved: 1, held: 0 })));
    expect((await transactionsOf(order.order_id)).map(({ shard, state }) => [shard, state])).to.deep.equal([
      [12, 'committed'],
      [12, 'committed'],
    ]);
  });

  it('is never written to another shard: when a slot has moved, the next attempt has a new id (rule 2)', async () => {
    const order = await openOrder([3, 12, 14]);
    const [participant = '', moving = ''] = order.sku_ids;
    const ids: string[] = [];
    let restore = async (): Promise<void> => undefined;
    try {
      const outcome = await bench.sell(order.order_id, order.lines, {
        around: withSteps({
          before: async (step) => {
            if (!isDecision(step)) return;
            ids.push(transactionOf(step)?.transaction_id ?? '');
            if (ids.length === 1) restore = await moveSlot(moving, 12, 13);
          },
        }),
      });
      expect(outcome.is).to.equal('deducted');
      expect(new Set(ids).size).to.equal(2);
      expect(await transactionsOf(order.order_id)).to.deep.equal([
        { shard: 13, transaction_id: ids[1], state: 'committed' },
      ]);
      await nothingHeld([participant], SWEPT_MS);
    } finally {
      await restore();
      await bench.parts.routing.refresh();
    }
  });

  it('of an aborted transaction is kept for a minute and deleted then by the sweepers (rule 8)', async () => {
    const order = await openOrder([3, 12]);
    await sellAndDie(order, 'decision');
    await sleep(1_100);
    await sweepUntilFree(sweep, order.sku_ids, SWEPT_MS);
    expect((await transactionsOf(order.order_id)).map(({ state }) => state)).to.deep.equal(['aborted']);
    await ageAborted(KEPT_SECONDS - 10);
    await sweep();
    expect(await transactionsOf(order.order_id)).to.have.lengthOf(1);
    await ageAborted(10);
    await sweep();
    expect(await transactionsOf(order.order_id)).to.deep.equal([]);
    expect((await rowCounts())['aborted_record']).to.equal(0);
  });

  it('is written at most 4.5 s after the first hold, however long the caller waits (rule 8)', async () => {
    const order = await openOrder([3, 12]);
    const began = performance.now();
    const latest: number[] = [];
    const outcome = await bench.sell(order.order_id, order.lines, {
      ms: 20_000,
      around: withSteps({
        before: ({ kind, deadlineMs }) => (kind === 'settle' ? undefined : latest.push(deadlineMs - began)),
      }),
    });
    expect(outcome.is).to.equal('deducted');
    expect(latest).to.have.lengthOf(2);
    expect(Math.max(...latest)).to.be.at.most(DECISION_MS + 500);
  });

  it('is not written by a gateway that slept longer than that, even if it was not aborted (rule 8)', async () => {
    const order = await openOrder([3, 12]);
    const ids = new Set<string>();
    const slept: string[] = [];
    const outcome = await bench.sell(order.order_id, order.lines, {
      ms: 9_000,
      around: withSteps({
        before: async (step) => {
          if (!isDecision(step)) return;
          const id = transactionOf(step)?.transaction_id ?? '';
          if (ids.size === 0) {
            slept.push(id);
            await sleep(DECISION_MS + 200);
          }
          ids.add(id);
        },
      }),
    });
    // A decision that came too late is not done, and the order may be sold by a later attempt.
    expect(outcome.is).to.be.oneOf(['deducted', 'not_done']);
    expect((await transactionsOf(order.order_id)).map(({ transaction_id }) => transaction_id)).to.not.include(slept[0]);
    await nothingHeld(order.sku_ids, SWEPT_MS);
  }).timeout(60_000);

  it('counts as abandoned also when the clock of its coordinator was set back since', async () => {
    const order = await openOrder([3, 12]);
    const hour = 3_600_000;
    let isReached = false;
    void bench.sell(order.order_id, order.lines, {
      around: (parts) =>
        withSteps({
          before: (step) => {
            isReached ||= isDecision(step);
            return isDecision(step) ? DEAD : undefined;
          },
        })(withOlderTransactions(-hour)(parts)),
    });
    await eventually('the holds are placed', SWEPT_MS, () => isReached);
    await sleep(1_100);
    await sweep();
    await nothingHeld(order.sku_ids, 2_000);
    expect(await stockOf(order.sku_ids)).to.deep.equal(order.sku_ids.map(() => ({ leaved: 1, held: 0 })));
  });

  it('of an aborted transaction is deleted also when it was written before the clock was set back', async () => {
    const order = await openOrder([3, 12]);
    await sellAndDie(order, 'decision');
    await sleep(1_100);
    await sweep();
    expect(await transactionsOf(order.order_id)).to.have.lengthOf(1);
    await ageAborted(-3_600);
    await sweep();
    expect(await transactionsOf(order.order_id)).to.deep.equal([]);
  });

  for (const at of ['decision', 'completion'] as const) {
    const isSold = at === 'completion';
    it(`is read first when a line is returned or cancelled whose gateway died before the ${at} (rule 15)`, async () => {
      const [cancelled, returned] = [await openOrder([3, 12]), await openOrder([5, 13])];
      await Promise.all([sellAndDie(cancelled, at), sellAndDie(returned, at)]);
      const deadline = (): number => performance.now() + 3_000;
      const cancellation = await cancelOrder(
        other.parts,
        { order_id: cancelled.order_id, lines: cancelled.lines },
        deadline(),
      );
      expect(cancellation).to.deep.equal({ is: 'applied', replayed: false });
      expect(await stockOf(cancelled.sku_ids)).to.deep.equal(cancelled.sku_ids.map(() => ({ leaved: 1, held: 0 })));
      expect(endsOf(await cartRows(cancelled.sku_ids), cancelled.lines)).to.deep.equal(['cancelled', 'cancelled']);
      for (const line of returned.lines) {
        const outcome = await returnUnits(other.parts, { kind: 'return', ...line, return_id: 'r' }, deadline());
        expect(outcome).to.include(
          isSold ? { is: 'returned', returned: 1 } : { is: 'refused', code: 'unknown_deduction' },
        );
      }
      expect(await stockOf(returned.sku_ids)).to.deep.equal(returned.sku_ids.map(() => ({ leaved: 1, held: 0 })));
      expect(endsOf(await cartRows(returned.sku_ids), returned.lines)).to.deep.equal(
        returned.lines.map(() => (isSold ? 'deducted' : 'none')),
      );
    });
  }

  it('leaves nothing a minute after refusals and dead gateways, however often it is sent (rule 15)', async () => {
    await ageAborted(KEPT_SECONDS);
    await sweep();
    const before = await rowCounts();
    const short = await openOrder([3, 11, 12]);
    const dead = await openOrder([4, 13]);
    const missing = skuOn(6, fresh('missing'));
    for (let times = 0; times < 3; times += 1) {
      // Short on one participant, short on the coordinator, and an unknown SKU.
      const more = (place: number) =>
        short.lines.map((line, index) => ({ ...line, quantity: index === place ? 5 : 1 }));
      for (const lines of [
        more(0),
        more(1),
        more(2),
        [...short.lines, { sku_id: missing, order_detail_id: 'm', quantity: 1 }],
      ])
        expect((await bench.sell(short.order_id, lines)).is).to.equal('refused');
      const order_id = fresh('dead');
      await sellAndDie({ order_id, lines: linesOf(dead.sku_ids, order_id) }, 'decision');
      await sleep(1_100);
      await sweep();
      await nothingHeld([...short.sku_ids, ...dead.sku_ids], SWEPT_MS);
    }
    expect((await rowCounts())['aborted_record']).to.equal((before['aborted_record'] ?? 0) + 3);
    await ageAborted(KEPT_SECONDS);
    await sweep();
    expect(await rowCounts()).to.deep.equal(before);
    expect(await stockOf(short.sku_ids)).to.deep.equal(short.sku_ids.map(() => ({ leaved: 1, held: 0 })));
  });

  /** Moves the slot and the stock row of a SKU between two shards of one server. @returns a function that undoes it */
  async function moveSlot(sku_id: string, from: number, to: number): Promise<() => Promise<void>> {
    const move = async (source: number, target: number): Promise<void> => {
      const session = await sideSession(source);
      const [here, there] = [addressOf(source).schema, addressOf(target).schema];
      const id = Buffer.from(sku_id);
      await session.beginTransaction();
      await session.query('INSERT INTO ??.slot (slot, epoch) SELECT slot, epoch + 1 FROM ??.slot WHERE slot = ?', [
        ...[there, here, slotOf(sku_id)],
      ]);
      await session.query('DELETE FROM slot WHERE slot = ?', [slotOf(sku_id)]);
      for (const table of ['stock', 'flow']) {
        await session.query('INSERT INTO ??.?? SELECT * FROM ??.?? WHERE sku_id = ?', [there, table, here, table, id]);
        await session.query('DELETE FROM ?? WHERE sku_id = ?', [table, id]);
      }
      await session.commit();
      session.destroy();
    };
    await move(from, to);
    return () => move(to, from);
  }
});
