import { expect } from 'chai';
import { STOCK_LIMIT } from '../../src/core/nouns.ts';
import type { Line } from '../../src/core/nouns.ts';
import { APPLIED, APPLIED_BEFORE, refusal, refusalOf } from './engineBench.ts';
import type { EngineBench } from './engineBench.ts';

const FIRST = { order_id: 'o', attempt: 1 } as const;
const SECOND = { order_id: 'o', attempt: 2 } as const;
const FOREIGN = { order_id: 'another', attempt: 1 } as const;

/** What every engine promises of holds and of how they end. @param now the bench of the running test */
export function cartPromises(now: () => EngineBench): void {
  const held = (...lines: Line[]) => ({
    is: 'held',
    lines: lines.map((line) => ({ ...line, replayed: false, returned: 0 })),
  });
  const deducted = (line: Line) => ({ is: 'deducted', lines: [{ ...line, replayed: false, returned: 0 }] });
  const pending = (...holds: object[]) => ({ is: 'pending', holds });

  it('takes held units off the shelf', async () => {
    const bench = now();
    await bench.open(5);
    expect(await bench.hold(FIRST, bench.line('a', 3))).to.deep.equal(held(bench.line('a', 3)));
    expect(await bench.left()).to.equal(2);
    expect(await bench.flow('a')).to.deep.include({ ...bench.line('a', 3), ...FIRST, status: 'pending', returned: 0 });
  });

  it('holds once, however often the same attempt asks', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.hold(FIRST, bench.line('a', 3))).to.deep.equal(held(bench.line('a', 3)));
    expect(await bench.left()).to.equal(2);
    await bench.settle(FIRST, 'aborted', bench.line('a', 3));
    expect(await bench.left()).to.equal(5);
  });

  it('refuses the same attempt with another quantity', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.hold(FIRST, bench.line('a', 2))).to.deep.equal(
      refusalOf(bench.line('a', 2), 'idempotency_conflict'),
    );
  });

  it('holds all lines or none', async () => {
    const bench = now();
    await bench.open(5);
    expect(await bench.hold(FIRST, bench.line('a', 3), bench.line('b', 1, bench.other))).to.deep.equal(
      refusalOf(bench.line('b', 1, bench.other), 'unknown_sku'),
    );
    expect(await bench.hold(FIRST, bench.line('a', 3), bench.line('b', 3))).to.deep.include({
      is: 'refused',
      code: 'insufficient_stock',
    });
    expect(await bench.left()).to.equal(5);
    expect(await bench.flow('a')).to.equal(null);
  });

  it('leaves a line that was sold already as it is', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 2));
    expect(await bench.hold(FIRST, bench.line('a', 2), bench.line('b', 1))).to.deep.equal({
      is: 'held',
      lines: [
        { ...bench.line('a', 2), replayed: true, returned: 0 },
        { ...bench.line('b', 1), replayed: false, returned: 0 },
      ],
    });
    await bench.settle(FIRST, 'aborted', bench.line('a', 2), bench.line('b', 1));
    expect(await bench.flow('a')).to.deep.include({ status: 'deducted' });
    expect(await bench.left()).to.equal(3);
  });

  it('sells what it held when the cart is committed, once and for good', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.settle(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED);
    expect(await bench.settle(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.settle(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.flow('a')).to.deep.include({ ...bench.line('a', 3), ...FIRST, status: 'deducted' });
    expect(await bench.left()).to.equal(2);
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal({
      is: 'deducted',
      lines: [{ ...bench.line('a', 3), replayed: true, returned: 0 }],
    });
  });

  it('gives back what it held when the cart is aborted, once, and leaves a void', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.settle(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED);
    expect(await bench.settle(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.settle(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.left()).to.equal(5);
    expect(await bench.flow('a')).to.deep.include({ ...FIRST, status: 'void' });
  });

  it('refuses a hold that comes after its cart was aborted', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    await bench.settle(FIRST, 'aborted', bench.line('a', 3), bench.line('b', 1));
    expect((await bench.hold(FIRST, bench.line('a', 3))).is).to.equal('not_done');
    // This line's hold was still on its way when its cart was aborted.
    expect((await bench.hold(FIRST, bench.line('c', 1), bench.line('b', 1))).is).to.equal('not_done');
    expect(await bench.left()).to.equal(5);
    expect(await bench.flow('c')).to.equal(null);
  });

  it('lets the next attempt hold what an earlier one had to give back', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    await bench.settle(FIRST, 'aborted', bench.line('a', 3));
    expect(await bench.hold(SECOND, bench.line('a', 4))).to.deep.equal(held(bench.line('a', 4)));
    expect((await bench.settle(FIRST, 'aborted', bench.line('a', 3))).is).to.equal('applied');
    expect(await bench.flow('a')).to.deep.include({ ...SECOND, ...bench.line('a', 4), status: 'pending' });
    await bench.settle(SECOND, 'aborted', bench.line('a', 4));
    expect((await bench.hold(FIRST, bench.line('a', 3))).is).to.equal('not_done');
    expect(await bench.left()).to.equal(5);
  });

  it('refuses a late hold of a later attempt too, where an earlier one left its void', async () => {
    const bench = now();
    await bench.open(5);
    await bench.settle(FIRST, 'aborted', bench.line('a', 1));
    expect(await bench.settle(SECOND, 'aborted', bench.line('a', 1))).to.deep.equal(APPLIED);
    expect((await bench.hold(SECOND, bench.line('a', 1))).is).to.equal('not_done');
    expect((await bench.hold({ order_id: 'o', attempt: 3 }, bench.line('a', 1))).is).to.equal('held');
  });

  it('lets a void yield to another order, and to an ordinary deduction of its own', async () => {
    const bench = now();
    await bench.open(9);
    await bench.settle(FIRST, 'aborted', bench.line('a', 1), bench.line('b', 1), bench.line('c', 1));
    expect(await bench.deduct('another', bench.line('a', 2))).to.deep.equal(deducted(bench.line('a', 2)));
    expect(await bench.deduct('o', bench.line('b', 3))).to.deep.equal(deducted(bench.line('b', 3)));
    expect(await bench.hold(FOREIGN, bench.line('c', 1))).to.deep.equal(held(bench.line('c', 1)));
    expect(await bench.flow('a')).to.deep.include({
      ...bench.line('a', 2),
      order_id: 'another',
      attempt: 0,
      status: 'deducted',
    });
    expect(await bench.flow('b')).to.deep.include({
      ...bench.line('b', 3),
      order_id: 'o',
      attempt: 0,
      status: 'deducted',
    });
    expect(await bench.flow('c')).to.deep.include({ ...FOREIGN, status: 'pending' });
    expect(await bench.left()).to.equal(3);
  });

  it('settles nothing but what this very attempt holds', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    for (const verdict of ['committed', 'aborted'] as const) {
      expect(await bench.settle(SECOND, verdict, bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
      expect(await bench.settle(FOREIGN, verdict, bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    }
    expect(await bench.settle(FIRST, 'committed', bench.line('b', 1))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.flow('a')).to.deep.include({ ...FIRST, status: 'pending' });
    expect(await bench.flow('b')).to.equal(null);
    expect(await bench.left()).to.equal(2);
  });

  it('names the cart that holds an id', async () => {
    const bench = now();
    await bench.open(9);
    await bench.hold(FIRST, bench.line('a', 3));
    const inTheWay = pending({ ...bench.key('a'), ...FIRST });
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal(inTheWay);
    expect(await bench.deduct('another', bench.line('b', 1), bench.line('a', 1))).to.deep.equal(inTheWay);
    expect(await bench.hold(SECOND, bench.line('a', 3))).to.deep.equal(inTheWay);
    expect(await bench.hold(FOREIGN, bench.line('a', 3))).to.deep.equal(inTheWay);
    expect(await bench.flow('b')).to.equal(null);
    expect(await bench.left()).to.equal(6);
  });

  it('names the carts whose units are lacking, and says sold out only when even those would not do', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 2));
    await bench.hold(FOREIGN, bench.line('b', 2));
    const holders = pending({ ...bench.key('a'), ...FIRST }, { ...bench.key('b'), ...FOREIGN });
    expect(await bench.deduct('third', bench.line('c', 5))).to.deep.equal(holders);
    expect(await bench.hold({ order_id: 'third', attempt: 1 }, bench.line('c', 2))).to.deep.equal(holders);
    expect(await bench.deduct('third', bench.line('c', 6))).to.deep.equal(
      refusalOf(bench.line('c', 6), 'insufficient_stock', { leaved_amount: 1 }),
    );
    await bench.settle(FIRST, 'committed', bench.line('a', 2));
    expect(await bench.deduct('third', bench.line('c', 4))).to.deep.include({
      is: 'refused',
      code: 'insufficient_stock',
    });
    await bench.settle(FOREIGN, 'aborted', bench.line('b', 2));
    expect(await bench.deduct('third', bench.line('c', 3))).to.deep.equal(deducted(bench.line('c', 3)));
    expect(await bench.left()).to.equal(0);
  });

  it('tells a refusal before what is pending', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 2));
    expect(await bench.deduct('o', bench.line('a', 2), bench.line('b', 1, bench.other))).to.deep.equal(
      refusalOf(bench.line('b', 1, bench.other), 'unknown_sku'),
    );
  });

  it('does not write off what is held, and keeps room for it to come back', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 5));
    expect(await bench.adjust('down', -1)).to.deep.equal(refusal('insufficient_stock', { leaved_amount: 0 }));
    expect(await bench.adjust('fill', STOCK_LIMIT)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.adjust('rest', STOCK_LIMIT - 5)).to.deep.equal(APPLIED);
    expect(await bench.settle(FIRST, 'aborted', bench.line('a', 5))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(STOCK_LIMIT);
  });
}
