import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { inParallel } from '../../../scripts/support/inParallel.ts';
import type { PrimaryServer } from '../../../scripts/cluster/contract.ts';
import type { Line } from '../../../src/core/types.ts';
import type { Sweeper } from '../../../src/service/carts/sweeper.ts';
import { cartRows, endsOf, linesOf, nothingHeld } from '../../support/carts/cartRows.ts';
import { DEAD, isDecision, openTransactionBench, withSteps } from '../../support/carts/transactionBench.ts';
import type { Step, StepHooks, TransactionBench } from '../../support/carts/transactionBench.ts';
import { transactionsOf } from '../../support/carts/transactionRows.ts';
import { openShards } from '../../support/engines/engines.ts';
import { skuOn } from '../../support/engines/traffic.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { stack } from '../../support/run/setup.ts';

/** Holds end within this time. */
const HELD_MS = 30_000;
/** A gateway or a server is away for longer than it takes until other gateways abort its transactions. */
const AWAY_MS = 7_000;
const REQUEST_MS = 3_000;
/** A server that works again is used again within this time. */
const AGAIN_MS = 10_000;
const TEST_MS = 180_000;

describe('an order over several servers whose servers or gateways fail between the phases', () => {
  /** Even and odd shards count as different servers, so that orders have three participants. */
  let bench: TransactionBench;
  let other: TransactionBench;
  let sweeper: Sweeper;
  const faults: unknown[] = [];
  before(async () => {
    const shards = stack().shards.map((shard, index) => ({
      ...shard,
      address: { ...shard.address, host: index % 2 === 0 ? shard.address.host : 'localhost' },
    }));
    bench = await openTransactionBench(openShards({ ...stack(), shards }));
    other = await openTransactionBench();
    sweeper = other.sweeper({ faults });
    sweeper.start();
  });
  after(async () => {
    await sweeper.stop();
    bench.close();
    other.close();
    expect(faults).to.deep.equal([]);
  });

  interface OpenedOrder {
    readonly order_id: string;
    readonly sku_ids: readonly string[];
    readonly lines: readonly Line[];
  }
  async function openOrder(shards: readonly number[]): Promise<OpenedOrder> {
    const order_id = fresh('outage');
    const sku_ids = shards.map((shard) => skuOn(shard, order_id));
    // A server that was away a moment ago may still be avoided.
    for (const sku_id of sku_ids)
      await eventually(`${sku_id} is opened`, AGAIN_MS, () =>
        other.open(sku_id, 1).then(
          () => true,
          () => false,
        ),
      );
    return { order_id, sku_ids, lines: linesOf(sku_ids, order_id) };
  }

  /** Waits until nothing is held. @returns whether the order is sold, as a whole */
  async function endOf({ order_id, sku_ids, lines }: OpenedOrder, answer: string | null): Promise<boolean> {
    await nothingHeld(sku_ids, HELD_MS);
    const rows = await cartRows(sku_ids);
    const ends = endsOf(rows, lines);
    const committed = (await transactionsOf(order_id)).filter(({ state }) => state === 'committed').length;
    const summary = `${order_id} was answered ${answer}: lines ${ends.join()}, ${committed} committed`;
    const isSold = ends[0] === 'deducted';
    expect(ends, summary).to.deep.equal(lines.map(() => (isSold ? 'deducted' : 'none')));
    expect(committed, summary).to.equal(isSold ? 1 : 0);
    for (const sku_id of sku_ids)
      expect(rows.stock.get(sku_id), summary).to.deep.equal({ leaved: isSold ? 0 : 1, held: 0 });
    if (answer === 'deducted') expect(isSold, summary).to.equal(true);
    if (answer === 'refused' || answer === 'not_done') expect(isSold, summary).to.equal(false);
    return isSold;
  }

  /** Orders over several shards of a server are sold again, also when no others are sent there. */
  async function sellsJointly(shards: readonly number[]): Promise<void> {
    const { order_id, lines } = await openOrder(shards);
    await eventually('an order is sold', AGAIN_MS, async () => (await other.sell(order_id, lines)).is === 'deducted');
  }

  /** The steps of an order with three participants, with what must have become of it if its gateway dies there. */
  const STEPS: readonly { what: string; moment: 'before' | 'after'; isIt(step: Step): boolean; isSold: boolean }[] = [
    { what: 'before its first hold', moment: 'before', isIt: ({ kind }) => kind === 'hold', isSold: false },
    { what: 'after its first hold', moment: 'after', isIt: ({ kind }) => kind === 'hold', isSold: false },
    { what: 'before its decision', moment: 'before', isIt: isDecision, isSold: false },
    { what: 'after its decision', moment: 'after', isIt: isDecision, isSold: true },
    { what: 'before its first completion', moment: 'before', isIt: ({ kind }) => kind === 'settle', isSold: true },
    { what: 'after its first completion', moment: 'after', isIt: ({ kind }) => kind === 'settle', isSold: true },
  ];

  for (const { fault, strike } of [
    { fault: 'dies', strike: () => DEAD },
    { fault: 'sleeps', strike: () => sleep(AWAY_MS) },
  ]) {
    it(`ends as a whole within 30 s when its gateway ${fault} at any step`, async () => {
      await inParallel(STEPS, STEPS.length, async ({ what, moment, isIt, isSold }) => {
        const order = await openOrder([2, 3, 12, 13, 4]);
        let isStruck = false;
        let isReached: () => void = () => undefined;
        const reached = new Promise<void>((resolve) => (isReached = resolve));
        const hook = (step: Step): unknown => {
          // A dead gateway does nothing more, in none of its parallel steps.
          if (isStruck) return fault === 'dies' ? DEAD : undefined;
          if (!isIt(step)) return undefined;
          isStruck = true;
          isReached();
          return strike();
        };
        const hooks: StepHooks =
          moment === 'before'
            ? { before: hook }
            : { before: (step) => (isStruck ? hook(step) : undefined), after: hook };
        const sold = bench.sell(order.order_id, order.lines, { ms: REQUEST_MS, around: withSteps(hooks) });
        await reached;
        // A dead gateway answers nothing.
        const answer = await Promise.race([sold.then(({ is }) => is), sleep(AWAY_MS + REQUEST_MS).then(() => null)]);
        const end = await endOf(order, answer);
        if (fault === 'dies' || isSold) expect(end, what).to.equal(isSold);
      });
    }).timeout(TEST_MS);
  }

  const OUTAGES = [
    { what: 'is frozen', begin: freeze, end: thaw },
    { what: 'is killed', begin: kill, end: restart },
  ] as const;
  for (const { what, begin, end } of OUTAGES) {
    for (const { role, server } of [
      { role: 'participant', server: 0 },
      { role: 'coordinator', server: 1 },
    ]) {
      it(`ends as a whole within 30 s when the server of its ${role} ${what} between the phases`, async () => {
        const struck = stack().cluster.servers[server];
        if (struck === undefined) throw new Error('the shared stack has two servers');
        // Three orders meet the outage: before a hold is sent, before the decision is sent, and after its answer.
        const moments = ['hold', 'decision', 'answer'] as const;
        let reached = 0;
        const hit = async (): Promise<void> => {
          reached += 1;
          if (reached === moments.length) await begin(struck);
          else await eventually('all orders are under way', AGAIN_MS, () => reached >= moments.length);
        };
        const sold = moments.map(async (at) => {
          const order = await openOrder([3, 12, 13]);
          let isStruck = false;
          const once = (isNow: boolean): unknown => {
            if (!isNow || isStruck) return undefined;
            isStruck = true;
            return hit();
          };
          const outcome = await other.sell(order.order_id, order.lines, {
            ms: REQUEST_MS,
            around: withSteps({
              before: (step) =>
                once((at === 'hold' && step.kind === 'hold') || (at === 'decision' && isDecision(step))),
              after: (step) => once(at === 'answer' && isDecision(step)),
            }),
          });
          return { at, order, is: outcome.is };
        });
        const orders = await Promise.all(sold);
        await sleep(AWAY_MS);
        await end(struck);
        for (const { at, order, is } of orders) {
          const isSold = await endOf(order, is);
          if (at === 'answer' || (at === 'decision' && role === 'participant'))
            expect([is, isSold], at).to.deep.equal(['deducted', true]);
        }
        await sellsJointly(server === 0 ? [3, 5] : [12, 13]);
      }).timeout(TEST_MS);
    }
  }
});

async function freeze(server: PrimaryServer): Promise<void> {
  server.signal('SIGSTOP');
  return Promise.resolve();
}

async function thaw(server: PrimaryServer): Promise<void> {
  server.signal('SIGCONT');
  return Promise.resolve();
}

async function kill(server: PrimaryServer): Promise<void> {
  server.signal('SIGKILL');
  return Promise.resolve();
}

async function restart(server: PrimaryServer): Promise<void> {
  await server.start();
}
