import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { isOlder } from '../../src/mysql/sql/session/age.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, decisionsOf, endsOf, linesOf } from '../support/carts/cartRows.ts';
import { ALL_STEPS, ATTEMPT_STEPS } from '../support/carts/orderSteps.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const ROUNDS_MAX = 20;
/** The shard of a coordinator. A cart with attempts has its record on the shard of its order. */
const COORDINATOR = 12;
const MINUTE_MS = 60_000;

for (const steps of ALL_STEPS) {
  describe(`an unfinished order, left by ${steps.name}`, () => {
    let bench: CartBench;
    before(async () => {
      bench = openCartBench(undefined, steps.engine);
      await bench.ready();
    });
    after(() => bench.close());

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
          applyJointly: (given, ...rest) => {
            for (const { shard } of given) count(counts.apply, shard);
            return parts.engine.applyJointly(given, ...rest);
          },
        },
        carts: {
          begin: (...given) => parts.carts.begin(...given),
          decide: (...given) => parts.carts.decide(...given),
          findUnfinished: (...given) => parts.carts.findUnfinished(...given),
          resolve: (shard, ...rest) => (count(counts.judge, shard), parts.carts.resolve(shard, ...rest)),
        },
        records: {
          begin: (shard) => parts.records.begin(shard),
          areUsable: (shards) => parts.records.areUsable(shards),
          deleteAborted: (...given) => parts.records.deleteAborted(...given),
          resolve: (transaction, ...rest) => (
            count(counts.judge, transaction.coordinator),
            parts.records.resolve(transaction, ...rest)
          ),
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
      const left: { readonly kind: (typeof kinds)[number]; readonly sku_id: string; readonly order_id: string }[] = [];
      for (const kind of kinds) {
        const order_id = fresh('stray');
        const [sku_id, own] = [skuOn(4, order_id), skuOn(COORDINATOR, order_id)];
        for (const one of [sku_id, own]) await bench.open(one, 1);
        const lines = linesOf([sku_id], order_id);
        const started = await steps.start(bench, order_id, lines, linesOf([own], order_id), {
          hasRecord: kind !== 'never held',
        });
        const isHeld = kind === 'sold' || kind === 'undone';
        if (isHeld) await started.hold();
        const decision = kind.startsWith('sold') ? 'committed' : 'aborted';
        if (kind !== 'never held') expect(await started.decide(decision)).to.equal(decision);
        if (isHeld) await started.complete(decision);
        if (kind === 'cancelled') await bench.apply({ kind: 'cancel', order_id, lines });
        const { attempt, transaction } = started.cart;
        await session.query(
          `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator)
           VALUES (?, ?, ?, ?, ?, ?)`,
          [
            ...[sku_id, order_id, order_id].map((text) => Buffer.from(text)),
            attempt,
            ...(transaction === undefined
              ? [null, null]
              : [Buffer.from(transaction.transaction_id, 'hex'), transaction.coordinator]),
          ],
        );
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

    interface LeftOrder {
      readonly kind: 'begun' | 'open' | 'committed' | 'aborted' | 'no record';
      readonly order_id: string;
      readonly sku_ids: readonly string[];
    }

    /** Leaves unfinished orders of every kind, with times that lie some minutes back. */
    async function leaveUnfinished(ofEach: number, minutes = 1): Promise<LeftOrder[]> {
      const kinds = ['begun', 'open', 'committed', 'aborted', 'no record'] as const;
      const left: LeftOrder[] = [];
      await inParallel(Array.from({ length: ofEach }, () => kinds).flat(), 8, async (kind) => {
        const order_id = fresh('left');
        const sku_ids = [4, 6, COORDINATOR].map((shard) => skuOn(shard, order_id));
        for (const sku_id of sku_ids) await bench.open(sku_id, 1);
        const lines = linesOf(sku_ids, order_id);
        const [held, own] = [lines.slice(0, 2), lines.slice(2)];
        const ageMs = minutes * MINUTE_MS;
        const started = await steps.start(bench, order_id, held, own, { ageMs, hasRecord: kind !== 'no record' });
        // An open order lacks one hold, and a committed one has one hold that is already completed.
        if (kind === 'open') await started.hold(held.slice(1));
        else if (kind !== 'begun') await started.hold();
        if (kind === 'committed' || kind === 'aborted') expect(await started.decide(kind)).to.equal(kind);
        if (kind === 'committed') await started.complete(kind, lines.slice(0, 1));
        left.push({ kind, order_id, sku_ids });
      });
      await age(
        { order_ids: left.map(({ order_id }) => order_id), sku_ids: left.flatMap(({ sku_ids }) => sku_ids) },
        minutes,
      );
      return left;
    }

    async function expectCompleted(left: readonly LeftOrder[]): Promise<void> {
      const rows = await cartRows(left.flatMap(({ sku_ids }) => sku_ids));
      expect(rows.holds).to.equal(0);
      for (const { kind, order_id, sku_ids } of left) {
        const isSold = kind === 'committed';
        expect(endsOf(rows, linesOf(sku_ids, order_id)), order_id).to.deep.equal(
          sku_ids.map(() => (isSold ? 'deducted' : 'none')),
        );
        expect(
          sku_ids.map((sku_id) => rows.stock.get(sku_id)),
          order_id,
        ).to.deep.equal(sku_ids.map(() => ({ leaved: isSold ? 0 : 1, held: 0 })));
        // Nothing is left of a transaction that held nothing.
        const isGone = kind === 'begun' && steps !== ATTEMPT_STEPS;
        const decisions = isGone ? [] : [isSold ? 'committed' : 'aborted'];
        expect(await decisionsOf(order_id, sku_ids), order_id).to.deep.equal(decisions);
      }
    }
  });
}

describe('an unfinished cart', () => {
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
});
