import { expect } from 'chai';
import fc from 'fast-check';
import type { Line } from '../../src/core/types.ts';
import type { Deduct, Operation } from '../../src/core/operation.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { cartPromises } from '../support/carts/cartPromises.ts';
import { EngineBench } from '../support/engines/engineBench.ts';
import { ENGINES } from '../support/engines/engines.ts';
import type { Subject } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { Oracle } from '../support/engines/oracle.ts';
import { limitPromises } from '../support/engines/limitPromises.ts';
import { returnPromises } from '../support/engines/returnPromises.ts';
import { salePromises } from '../support/engines/salePromises.ts';
import { expectSameAnswers, renamed } from '../support/engines/sameAnswers.ts';
import { stack } from '../support/run/setup.ts';
import { histories, skusOnOneShard } from '../support/engines/traffic.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';

/** The long form plays histories of some 47 operations, several at a time, because a commit is mostly waiting. */
const LONG_OPERATIONS = 100_000;
const LONG_RUNS = 2_240;
const LANES = 8;
const LONG_TIMEOUT_MS = 1_800_000;

for (const { name, create } of ENGINES) {
  describe(`engine: ${name}`, () => {
    let subject: Subject;
    let bench: EngineBench;
    let shard: number;
    let sku: string;
    let other: string;

    before(() => {
      subject = create(stack());
    });
    after(() => subject.close());
    beforeEach(() => {
      bench = new EngineBench(subject);
      ({ shard, sku, other } = bench);
    });

    const deadline = (): number => bench.deadline();
    const deduct = (order_id: string, ...lines: Line[]) => bench.deduct(order_id, ...lines);
    const open = (sku_id: string, leaved_amount: number) => bench.open(leaved_amount, sku_id);
    const adjust = (adjustment_id: string, delta: number) => bench.adjust(adjustment_id, delta);
    const left = (sku_id: string) => bench.left(sku_id);
    const line = (order_detail_id: string, quantity: number, sku_id = sku) =>
      bench.line(order_detail_id, quantity, sku_id);

    it('deducts the units that are left and no more', async () => {
      await open(sku, 5);
      expect((await deduct('o', line('a', 3))).is).to.equal('deducted');
      expect(await deduct('o', line('b', 3))).to.deep.equal({
        is: 'refused',
        code: 'insufficient_stock',
        lines: [{ ...line('b', 3), code: 'insufficient_stock', leaved_amount: 2 }],
      });
      expect((await deduct('o', line('b', 2))).is).to.equal('deducted');
      expect(await left(sku)).to.equal(0);
    });

    it('answers the same ids with a replay, also when the SKU is sold out', async () => {
      await open(sku, 1);
      await deduct('o', line('a', 1));
      expect(await deduct('o', line('a', 1))).to.deep.equal({
        is: 'deducted',
        lines: [{ ...line('a', 1), replayed: true, returned: 0 }],
      });
      expect(await left(sku)).to.equal(0);
    });

    it('refuses the same ids with another quantity or order', async () => {
      await open(sku, 9);
      await deduct('o', line('a', 1));
      const conflict = (wanted: Line) => ({
        is: 'refused',
        code: 'idempotency_conflict',
        lines: [{ ...wanted, code: 'idempotency_conflict' }],
      });
      expect(await deduct('o', line('a', 2))).to.deep.equal(conflict(line('a', 2)));
      expect(await deduct('another', line('a', 1))).to.deep.equal(conflict(line('a', 1)));
      expect(await left(sku)).to.equal(8);
    });

    it('distinguishes the same order detail of two SKUs', async () => {
      await open(sku, 1);
      await open(other, 1);
      await deduct('o', line('a', 1));
      expect((await deduct('o', line('a', 1, other))).is).to.equal('deducted');
      expect(await left(other)).to.equal(0);
    });

    it('deducts all lines or none, and lists every refused line under the most important code', async () => {
      await open(sku, 5);
      await deduct('o', line('a', 1));
      const lines = [line('b', 1), line('c', 9), line('a', 2), line('d', 1, other)];
      expect(await deduct('o', ...lines)).to.deep.equal({
        is: 'refused',
        code: 'idempotency_conflict',
        lines: [
          { ...line('b', 1), code: 'insufficient_stock', leaved_amount: 4 },
          { ...line('c', 9), code: 'insufficient_stock', leaved_amount: 4 },
          { ...line('a', 2), code: 'idempotency_conflict' },
          { ...line('d', 1, other), code: 'unknown_sku' },
        ],
      });
      expect(await left(sku)).to.equal(4);
    });

    it('adds up the lines of one SKU', async () => {
      await open(sku, 5);
      expect((await deduct('o', line('a', 3), line('b', 3))).is).to.equal('refused');
      expect((await deduct('o', line('a', 3), line('b', 2))).is).to.equal('deducted');
      expect(await left(sku)).to.equal(0);
    });

    it('keeps replayed lines and deducts the others', async () => {
      await open(sku, 5);
      await deduct('o', line('a', 2));
      expect(await deduct('o', line('b', 3), line('a', 2))).to.deep.equal({
        is: 'deducted',
        lines: [
          { ...line('b', 3), replayed: false, returned: 0 },
          { ...line('a', 2), replayed: true, returned: 0 },
        ],
      });
      expect(await left(sku)).to.equal(0);
    });

    it('leaves no trace of a refusal: the same ids can be deducted after a restock', async () => {
      await open(sku, 0);
      expect((await deduct('o', line('a', 1))).is).to.equal('refused');
      await adjust('restock', 1);
      // Not a replay of the refused attempt, which would be a sale without stock.
      expect(await deduct('o', line('a', 1))).to.deep.equal({
        is: 'deducted',
        lines: [{ ...line('a', 1), replayed: false, returned: 0 }],
      });
      expect(await left(sku)).to.equal(0);
    });

    it('refuses SKUs that were not opened', async () => {
      const outcome = await deduct('o', line('a', 1));
      expect(outcome).to.deep.include({ is: 'refused', code: 'unknown_sku' });
      expect(await adjust('x', 1)).to.deep.equal({ is: 'refused', code: 'unknown_sku', lines: [] });
    });

    it('opens a SKU once', async () => {
      expect(await open(sku, 5)).to.deep.equal({ is: 'applied', replayed: false });
      await deduct('o', line('a', 1));
      expect(await open(sku, 5)).to.deep.equal({ is: 'applied', replayed: true });
      expect(await open(sku, 6)).to.deep.equal({ is: 'refused', code: 'sku_exists', lines: [], opened_with: 5 });
      expect(await left(sku)).to.equal(4);
    });

    it('adjusts once per id, never below zero nor above the limit', async () => {
      await open(sku, 5);
      expect(await adjust('up', 10)).to.deep.equal({ is: 'applied', replayed: false });
      expect(await adjust('up', 10)).to.deep.equal({ is: 'applied', replayed: true });
      expect(await adjust('up', 11)).to.deep.equal({ is: 'refused', code: 'idempotency_conflict', lines: [] });
      expect(await adjust('down', -16)).to.deep.equal({
        is: 'refused',
        code: 'insufficient_stock',
        lines: [],
        leaved_amount: 15,
      });
      expect(await adjust('down', -15)).to.deep.equal({ is: 'applied', replayed: false });
      expect(await adjust('fill', Number.MAX_SAFE_INTEGER)).to.deep.equal({ is: 'applied', replayed: false });
      expect(await adjust('over', 1)).to.deep.equal({ is: 'refused', code: 'stock_limit', lines: [] });
      expect(await left(sku)).to.equal(Number.MAX_SAFE_INTEGER);
    });

    it('finds flows, in the order of the request', async () => {
      await open(sku, 5);
      await deduct('o', line('a', 2));
      const found = await subject.reader.findFlows(shard, [line('none', 1), line('a', 2)], deadline());
      expect(found.is).to.equal('found');
      if (found.is !== 'found') return;
      expect(found.flows[0]).to.equal(null);
      expect(found.flows[1]).to.deep.include({
        ...line('a', 2),
        order_id: 'o',
        returned: 0,
        status: 'deducted',
        sub_row: 0,
      });
    });

    it('has no effect on SKUs that another shard owns', async () => {
      const wrong = (shard + 1) % 16;
      const lines = [line('a', 1)];
      const cart = { order_id: 'o', attempt: 1 };
      const all: readonly Operation[] = [
        { kind: 'deduct', order_id: 'o', lines },
        { kind: 'hold', ...cart, lines },
        { kind: 'settle', ...cart, decision: 'aborted', lines },
        { kind: 'return', ...line('a', 1), return_id: 'r' },
        { kind: 'cancel', order_id: 'o', lines },
        { kind: 'adjust', sku_id: sku, adjustment_id: 'x', delta: 1, reason: null },
        { kind: 'open', sku_id: sku, leaved_amount: 1 },
        { kind: 'sale', sku_id: sku, state: 'paused', from: null },
      ];
      expect(await subject.engine.apply(wrong, all, deadline())).to.deep.equal(all.map(() => ({ is: 'not_mine' })));
      expect(await subject.reader.readStock(wrong, sku, deadline())).to.deep.equal({ is: 'not_mine' });
      expect(await subject.reader.findFlows(wrong, lines, deadline())).to.deep.equal({ is: 'not_mine' });
      expect(await bench.flow('a')).to.equal(null);
      expect(await left(sku)).to.equal(null);
    });

    cartPromises(() => bench, 'numbers');
    describe('with transactions', () => cartPromises(() => bench, 'transactions'));
    returnPromises(() => bench);
    limitPromises(() => bench);
    salePromises(() => bench);

    // The oracle has no clock.
    if (name !== 'oracle') {
      it('does not begin an operation whose deadline has passed', async () => {
        await open(sku, 5);
        const operation: Deduct = { kind: 'deduct', order_id: 'o', lines: [line('a', 1)] };
        const [outcome] = await subject.engine.apply(shard, [operation], performance.now() - 1);
        expect(outcome?.is).to.equal('not_done');
        expect(await left(sku)).to.equal(5);
      });
    }

    it('answers random traffic like the oracle, one operation after the other', async function () {
      const isLong = LONG && name !== 'oracle';
      if (isLong) this.timeout(LONG_TIMEOUT_MS);
      // Each lane has SKUs of its own, so lanes do not affect each other.
      const lanes = await Promise.allSettled(
        Array.from({ length: isLong ? LANES : 1 }, () => playRandom(isLong ? LONG_RUNS / LANES : 25)),
      );
      for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
      const played = lanes.reduce((sum, lane) => sum + (lane.status === 'fulfilled' ? lane.value : 0), 0);
      if (isLong) expect(played).to.be.at.least(LONG_OPERATIONS);
    });

    /** @returns the number of operations played; a failure prints the seed */
    async function playRandom(numRuns: number): Promise<number> {
      const prefix = fresh('random');
      let run = 0;
      let played = 0;
      await fc.assert(
        // The SKUs are numbered, so that one seed gives the same history whatever the names of this run.
        fc.asyncProperty(histories(['0', '1', '2'], { stepsMin: 20, stepsMax: 60 }), async (numbered) => {
          const skus = skusOnOneShard(`${prefix}-${(run += 1)}`, 3);
          const history = numbered.map((operation) => renamed(operation, skus.sku_ids));
          await expectSameAnswers(subject, new Oracle(new SlotMap(16)), history, { ...skus, deadline });
          played += history.length;
        }),
        { numRuns },
      );
      return played;
    }
  });
}
