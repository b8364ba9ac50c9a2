import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { isOlder } from '../../src/mysql/sql/session/age.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import {
  CART_POINTS,
  expectOneEnd,
  FROZEN_MS,
  openCrashedCart,
  OVER_MS,
  sellToRival,
  strikeProcess,
} from '../support/carts/cartCrash.ts';
import { age, cartRows, endsOf, linesOf, recordsOf } from '../support/carts/cartRows.ts';
import { eventually } from '../support/run/eventually.ts';
import { armedText, failPoints } from '../support/faults/failPoints.ts';
import type { Armed } from '../support/faults/failPoints.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { temporaryFolder } from '../support/run/temporary.ts';
import { skuOn } from '../support/engines/traffic.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** After the first, a coordinator has no time left when it wakes; after the second, it finds the decision. */
const REQUEST_MS = [3_000, 20_000];
const ROUNDS_MAX = 20;
/** For a busy machine. */
const TEST_MS = 600_000;

describe('an unfinished cart', () => {
  const folder = temporaryFolder();
  let bench: CartBench;
  let healthy: TestGateway;
  before(() => {
    bench = openCartBench();
  });
  after(() => {
    bench.close();
    folder.remove();
  });

  // Its sweeper must not run before the sweepers of the tests below.
  describe('beside another gateway', () => {
    before(async () => {
      healthy = await startTestGateway();
    });
    after(() => healthy.stop());

    it('is completed or undone while its coordinator sleeps at any step, and stays so when it wakes', async () => {
      const faults: string[] = [];
      const cases = CART_POINTS.flatMap((at) => REQUEST_MS.map((requestMs) => ({ at, requestMs })));
      await inParallel(cases, cases.length, async ({ at, requestMs }) => {
        await sleepAt(at, requestMs).catch((error: unknown) =>
          faults.push(`${at.point} ${at.pass} of ${requestMs} ms: ${String(error)}`),
        );
      });
      expect(faults).to.deep.equal([]);
    }).timeout(TEST_MS);

    // The quick form starts no processes, because that takes too long.
    for (const fault of LONG ? (['kill', 'stall'] as const) : []) {
      const event = fault === 'kill' ? 'killed' : 'frozen for a while';
      it(`is completed or undone when the process of its coordinator is ${event}`, async () => {
        const faults: string[] = [];
        await inParallel(CART_POINTS, fault === 'kill' ? 3 : 4, async (at) => {
          await strikeProcess(healthy, folder, fault, at).catch((error: unknown) =>
            faults.push(`${armedText({ ...at, fault })}: ${String(error)}`),
          );
        });
        expect(faults).to.deep.equal([]);
      }).timeout(TEST_MS);
    }
  });

  it('is completed the same way by two sweepers at once', async () => {
    const left = await leaveUnfinished(LONG ? 60 : 10);
    const faults: unknown[] = [];
    const sweepers = [bench.sweeper({ faults }), bench.sweeper({ faults })];
    await Promise.all(sweepers.map((sweeper) => sweeper.sweep()));
    await Promise.all(sweepers.map((sweeper) => sweeper.sweep()));
    await expectCompleted(left);
    expect(faults).to.deep.equal([]);
  });

  it('is completed or undone at once when the clocks of its shards were set back by an hour', async () => {
    const left = await leaveUnfinished(1, -60);
    const faults: unknown[] = [];
    await bench.sweeper({ faults }).sweep();
    await expectCompleted(left);
    expect(faults).to.deep.equal([]);
  });

  it('counts as old when its time is past or far ahead, and as young in between', async () => {
    const session = await sideSession(0);
    const secondsAgo = [-3_600, -6, -5, -1, 0, 4, 5, 3_600];
    const moments = secondsAgo
      .map((seconds) => `SELECT CURRENT_TIMESTAMP(6) - INTERVAL ${seconds} SECOND AS created_at`)
      .join(' UNION ALL ');
    const [rows] = await session.query<RowDataPacket[]>(
      `SELECT ${isOlder('created_at', 5)} AS is_older FROM (${moments}) AS record`,
    );
    session.destroy();
    expect(rows.map(({ is_older }) => is_older as number)).to.deep.equal([1, 1, 0, 0, 0, 0, 1, 1]);
  });

  it('is completed in rounds of bounded size', async () => {
    const rowsMax = 3;
    const left = await leaveUnfinished(4);
    const counts = { judge: new Map<number, number>(), apply: new Map<number, number>() };
    const count = (calls: Map<number, number>, shard: number): void =>
      void calls.set(shard, (calls.get(shard) ?? 0) + 1);
    const around = (parts: ServicePorts): ServicePorts => ({
      ...parts,
      engine: {
        apply: (shard, ...rest) => (count(counts.apply, shard), parts.engine.apply(shard, ...rest)),
        groupOf: (shard) => parts.engine.groupOf(shard),
        applyJointly: (...given) => parts.engine.applyJointly(...given),
      },
      carts: {
        begin: (...given) => parts.carts.begin(...given),
        decide: (...given) => parts.carts.decide(...given),
        findUnfinished: (...given) => parts.carts.findUnfinished(...given),
        resolve: (shard, ...rest) => (count(counts.judge, shard), parts.carts.resolve(shard, ...rest)),
      },
    });
    const sweeper = bench.sweeper({ rowsMax, around });
    let rounds = 0;
    while ((await cartRows(left.flatMap(({ sku_ids }) => sku_ids))).holds > 0) {
      if ((rounds += 1) > ROUNDS_MAX) throw new Error(`not completed in ${ROUNDS_MAX} rounds`);
      for (const calls of Object.values(counts)) calls.clear();
      await sweeper.sweep();
      const total = (calls: Map<number, number>): number => [...calls.values()].reduce((sum, one) => sum + one, 0);
      // At most rowsMax records and rowsMax holds of each of the 16 shards.
      expect(Math.max(0, ...counts.apply.values()), 'completions on one shard').to.be.at.most(rowsMax);
      expect(total(counts.judge), 'records read').to.be.at.most(16 * 2 * rowsMax);
    }
    expect(rounds, 'more than one round was needed').to.be.above(1);
    await expectCompleted(left);
  });

  it('loses only its hold row where the row names a hold that does not exist', async () => {
    const kinds = ['sold', 'undone', 'cancelled', 'sold without a flow', 'never held'] as const;
    const session = await sideSession(4);
    const bytes = (text: string): Buffer => Buffer.from(text);
    const left: { readonly kind: (typeof kinds)[number]; readonly sku_id: string; readonly order_id: string }[] = [];
    for (const kind of kinds) {
      const order_id = fresh('stray');
      const sku_id = skuOn(4, order_id);
      const cart = { order_id, attempt: 1 };
      const lines = linesOf([sku_id], order_id);
      await bench.open(sku_id, 1);
      if (kind !== 'never held')
        await bench.carts.begin(bench.shardOf(order_id), { order_id, lines }, false, performance.now() + WAIT_MS);
      const decision = kind.startsWith('sold') ? 'committed' : 'aborted';
      if (kind !== 'never held')
        await bench.carts.decide(bench.shardOf(order_id), cart, decision, performance.now() + WAIT_MS);
      if (kind === 'sold' || kind === 'undone') {
        await bench.apply({ kind: 'hold', ...cart, lines });
        await bench.apply({ kind: 'settle', ...cart, decision, lines });
      }
      if (kind === 'cancelled') await bench.apply({ kind: 'cancel', order_id, lines });
      await session.query('INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) VALUES (?, ?, ?, 1)', [
        bytes(sku_id),
        bytes(order_id),
        bytes(order_id),
      ]);
      left.push({ kind, sku_id, order_id });
    }
    session.destroy();
    const sku_ids = left.map(({ sku_id }) => sku_id);
    await age({ order_ids: [], sku_ids });
    const before = await cartRows(sku_ids);
    await bench.sweeper().sweep();
    const after = await cartRows(sku_ids);
    expect([before.holds, after.holds]).to.deep.equal([kinds.length, 0]);
    expect(after.stock).to.deep.equal(before.stock);
    const ends = left.map(({ kind, sku_id, order_id }) => [kind, ...endsOf(after, linesOf([sku_id], order_id))]);
    expect(ends).to.deep.equal([
      ['sold', 'deducted'],
      ['undone', 'none'],
      ['cancelled', 'cancelled'],
      ['sold without a flow', 'none'],
      ['never held', 'none'],
    ]);
  });

  /** Stalls a coordinator in this process at one step, for longer than others must wait before they may decide. */
  async function sleepAt(at: Pick<Armed, 'point' | 'pass'>, requestMs: number): Promise<void> {
    const cart = await openCrashedCart(healthy);
    let fired = false;
    const points = failPoints({ ...at, fault: 'stall' }, FROZEN_MS, (_, fires) => (fired ||= fires));
    const { engine, carts } = points.decorate({ engine: bench.parts.engine, carts: bench.parts.carts });
    points.begin();
    const lines = linesOf(cart.sku_ids, cart.order_id);
    const sell = () =>
      deductOrder({ ...bench.parts, engine, carts }, { order_id: cart.order_id, lines }, performance.now() + requestMs);
    // On a busy machine an order may be rejected before it reaches the point; a completion comes after the answer.
    let sold = sell();
    let isOver = false;
    const watch = (): void => void sold.then(({ outcome }) => (isOver = outcome.is !== 'deducted'));
    watch();
    await eventually(`${at.point} is passed`, OVER_MS, () => {
      if (!fired && isOver) {
        isOver = false;
        sold = sell();
        watch();
      }
      return fired;
    });
    const rival = await sellToRival(healthy, cart);
    const { outcome } = await sold;
    const answer = {
      deducted: '201',
      unknown: 'outcome_unknown',
      refused: 'insufficient_stock',
      not_done: 'overloaded',
    }[outcome.is];
    await expectOneEnd(cart, answer, rival);
  }

  interface LeftCart {
    readonly order_id: string;
    readonly sku_ids: readonly string[];
    readonly isSold: boolean;
  }

  /** Leaves unfinished carts of every kind, with times that lie some minutes back. */
  async function leaveUnfinished(ofEach: number, minutes = 1): Promise<LeftCart[]> {
    const kinds = ['begun', 'open', 'committed', 'aborted', 'no record'] as const;
    const left: LeftCart[] = [];
    await inParallel(Array.from({ length: ofEach }, () => kinds).flat(), 8, async (kind) => {
      const order_id = fresh('left');
      const sku_ids = [4, 6, 12].map((shard) => skuOn(shard, order_id));
      const lines = linesOf(sku_ids, order_id);
      const cart = { order_id, attempt: 1 };
      const deadlineMs = performance.now() + WAIT_MS;
      for (const sku_id of sku_ids) await bench.open(sku_id, 1);
      if (kind !== 'no record')
        await bench.carts.begin(bench.shardOf(order_id), { order_id, lines }, false, deadlineMs);
      // An open cart lacks one hold, and a committed cart has one hold that is already completed.
      const held = kind === 'begun' ? [] : lines.slice(kind === 'open' ? 1 : 0);
      for (const line of held) await bench.apply({ kind: 'hold', ...cart, lines: [line] });
      if (kind === 'committed' || kind === 'aborted')
        await bench.carts.decide(bench.shardOf(order_id), cart, kind, deadlineMs);
      if (kind === 'committed')
        await bench.apply({ kind: 'settle', ...cart, decision: kind, lines: lines.slice(0, 1) });
      left.push({ order_id, sku_ids, isSold: kind === 'committed' });
    });
    await age(
      { order_ids: left.map(({ order_id }) => order_id), sku_ids: left.flatMap(({ sku_ids }) => sku_ids) },
      minutes,
    );
    return left;
  }

  async function expectCompleted(left: readonly LeftCart[]): Promise<void> {
    const rows = await cartRows(left.flatMap(({ sku_ids }) => sku_ids));
    expect(rows.holds).to.equal(0);
    for (const { order_id, sku_ids, isSold } of left) {
      expect(endsOf(rows, linesOf(sku_ids, order_id)), order_id).to.deep.equal(
        sku_ids.map(() => (isSold ? 'deducted' : 'none')),
      );
      expect(
        sku_ids.map((sku_id) => rows.stock.get(sku_id)),
        order_id,
      ).to.deep.equal(sku_ids.map(() => ({ leaved: isSold ? 0 : 1, held: 0 })));
      expect(await recordsOf(order_id), order_id).to.deep.equal([isSold ? 'committed' : 'aborted']);
    }
  }
});
