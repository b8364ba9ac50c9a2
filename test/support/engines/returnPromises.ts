import { expect } from 'chai';
import type { Line } from '../../../src/core/types.ts';
import { APPLIED, APPLIED_BEFORE, refusal, refusalOf } from './engineBench.ts';
import type { EngineBench } from './engineBench.ts';

const CART = { order_id: 'o', attempt: 1 } as const;

/** The promises of every engine about returns and cancellations. @param now returns the bench of the running test */
export function returnPromises(now: () => EngineBench): void {
  const returned = (units: number, returnable: number, replayed = false) => ({
    is: 'returned',
    replayed,
    returned: units,
    returnable,
  });
  const cancelled = (line: Line) => refusalOf(line, 'cancelled');

  it('accepts a return in parts, and sells the units again', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 5));
    expect(await bench.giveBack('r1', bench.line('a', 2))).to.deep.equal(returned(2, 3));
    expect(await bench.giveBack('r2', bench.line('a', 3))).to.deep.equal(returned(5, 0));
    expect(await bench.flow('a')).to.deep.include({ ...bench.line('a', 5), returned: 5, status: 'deducted' });
    expect((await bench.deduct('another', bench.line('b', 5))).is).to.equal('deducted');
    expect(await bench.left()).to.equal(0);
  });

  it('counts the same return once, however often it is sent', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    await bench.giveBack('r1', bench.line('a', 1));
    expect(await bench.giveBack('r1', bench.line('a', 1))).to.deep.equal(returned(1, 2, true));
    await bench.giveBack('r2', bench.line('a', 2));
    expect(await bench.giveBack('r1', bench.line('a', 1))).to.deep.equal(returned(3, 0, true));
    expect(await bench.left()).to.equal(5);
  });

  it('never takes back more than was deducted, and reports the returnable units', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    expect(await bench.giveBack('r1', bench.line('a', 4))).to.deep.equal({ ...refusal('over_return'), returnable: 3 });
    // The refused return has no effect, so its id may be sent again with fewer units.
    expect(await bench.giveBack('r1', bench.line('a', 2))).to.deep.equal(returned(2, 1));
    expect(await bench.giveBack('r2', bench.line('a', 2))).to.deep.equal({ ...refusal('over_return'), returnable: 1 });
    expect(await bench.left()).to.equal(4);
  });

  it('refuses the same return with another quantity, also when that quantity is too large', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    await bench.giveBack('r1', bench.line('a', 1));
    expect(await bench.giveBack('r1', bench.line('a', 2))).to.deep.equal(refusal('idempotency_conflict'));
    expect(await bench.giveBack('r1', bench.line('a', 9))).to.deep.equal(refusal('idempotency_conflict'));
    expect(await bench.left()).to.equal(3);
  });

  it('keeps the same return id of two deductions apart', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 1), bench.line('b', 2));
    await bench.giveBack('r1', bench.line('a', 1));
    expect(await bench.giveBack('r1', bench.line('b', 2))).to.deep.equal(returned(2, 0));
    expect(await bench.left()).to.equal(5);
  });

  it('refuses a return of units that were never deducted', async () => {
    const bench = now();
    await bench.open(5);
    await bench.complete(CART, 'aborted', bench.line('undone', 1));
    await bench.cancel('o', bench.key('buried'));
    for (const detail of ['none', 'undone', 'buried']) {
      expect(await bench.giveBack('r1', bench.line(detail, 1)), detail).to.deep.equal(refusal('unknown_deduction'));
    }
    expect(await bench.giveBack('r1', bench.line('none', 1, bench.other))).to.deep.equal(refusal('unknown_deduction'));
    expect(await bench.left()).to.equal(5);
  });

  it('accepts a return of a cart after its commit decision, and names the cart before', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(CART, bench.line('a', 3));
    expect(await bench.giveBack('r1', bench.line('a', 1))).to.deep.equal({
      is: 'pending',
      holds: [{ ...bench.key('a'), ...CART }],
    });
    await bench.complete(CART, 'committed', bench.line('a', 3));
    expect(await bench.giveBack('r1', bench.line('a', 1))).to.deep.equal(returned(1, 2));
    expect(await bench.left()).to.equal(3);
  });

  it('reports the returned units when a deduction is replayed', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    await bench.giveBack('r1', bench.line('a', 2));
    const lines = [{ ...bench.line('a', 3), replayed: true, returned: 2 }];
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal({ is: 'deducted', lines });
    expect(await bench.left()).to.equal(4);
  });

  it('gives back the rest when an order is cancelled, and accepts its ids never again', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    await bench.giveBack('r1', bench.line('a', 1));
    expect(await bench.cancel('o', bench.key('a'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(5);
    expect(await bench.flow('a')).to.deep.include({
      ...bench.line('a', 3),
      order_id: 'o',
      returned: 3,
      status: 'cancelled',
    });
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal(cancelled(bench.line('a', 3)));
    expect(await bench.hold(CART, bench.line('a', 3))).to.deep.equal(cancelled(bench.line('a', 3)));
    expect(await bench.deduct('o', bench.line('a', 2))).to.deep.equal(
      refusalOf(bench.line('a', 2), 'idempotency_conflict'),
    );
    expect(await bench.giveBack('r1', bench.line('a', 1))).to.deep.equal(returned(3, 0, true));
    expect(await bench.giveBack('r2', bench.line('a', 1))).to.deep.equal({ ...refusal('over_return'), returnable: 0 });
    expect(await bench.left()).to.equal(5);
  });

  it('cancels once, however often the cancellation is sent', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    await bench.cancel('o', bench.key('a'), bench.key('b'));
    expect(await bench.cancel('o', bench.key('a'), bench.key('b'))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.cancel('o', bench.key('b'), bench.key('c'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(5);
  });

  it('blocks ids that were never deducted, for any quantity, also of an unknown SKU', async () => {
    const bench = now();
    await bench.open(5);
    await bench.complete(CART, 'aborted', bench.line('undone', 3));
    expect(await bench.cancel('o', bench.key('a'), bench.key('undone'), bench.key('a', bench.other))).to.deep.equal(
      APPLIED,
    );
    await bench.open(5, bench.other);
    for (const line of [bench.line('a', 1), bench.line('undone', 2), bench.line('a', 4, bench.other)]) {
      expect(await bench.deduct('o', line)).to.deep.equal(cancelled(line));
      expect(await bench.hold({ order_id: 'o', attempt: 2 }, line)).to.deep.equal(cancelled(line));
      expect(await bench.deduct('another', line)).to.deep.equal(refusalOf(line, 'idempotency_conflict'));
    }
    expect(await bench.flow('undone')).to.deep.include({ quantity: 0, returned: 0, status: 'cancelled' });
    expect(await bench.left()).to.equal(5);
    expect(await bench.left(bench.other)).to.equal(5);
  });

  it('stays cancelled when a completion arrives late', async () => {
    const bench = now();
    await bench.open(5);
    await bench.cancel('o', bench.key('a'));
    expect(await bench.complete(CART, 'committed', bench.line('a', 1))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.complete(CART, 'aborted', bench.line('a', 1))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.flow('a')).to.deep.include({ status: 'cancelled' });
    expect(await bench.left()).to.equal(5);
  });

  it('refuses to cancel lines of another order, and then cancels nothing', async () => {
    const bench = now();
    await bench.open(9);
    await bench.deduct('another', bench.line('b', 2), bench.line('a', 3));
    await bench.cancel('another', bench.key('dead'));
    await bench.deduct('o', bench.line('mine', 1));
    expect(
      await bench.cancel('o', bench.key('mine'), bench.key('dead'), bench.key('b'), bench.key('a'), bench.key('new')),
    ).to.deep.equal({
      is: 'refused',
      code: 'idempotency_conflict',
      lines: [bench.line('dead', 0), bench.line('b', 2), bench.line('a', 3)].map((line) => ({
        ...line,
        code: 'idempotency_conflict',
      })),
    });
    expect(await bench.flow('mine')).to.deep.include({ status: 'deducted' });
    expect(await bench.flow('new')).to.equal(null);
    expect(await bench.left()).to.equal(3);
  });

  it('cancels nothing while a cart holds one of the lines, and names the cart', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 1));
    await bench.hold(CART, bench.line('b', 1));
    const blocked = { is: 'pending', holds: [{ ...bench.key('b'), ...CART }] };
    expect(await bench.cancel('o', bench.key('a'), bench.key('b'))).to.deep.equal(blocked);
    expect(await bench.cancel('another', bench.key('b'))).to.deep.equal(blocked);
    expect(await bench.flow('a')).to.deep.include({ status: 'deducted' });
    await bench.complete(CART, 'committed', bench.line('b', 1));
    expect(await bench.cancel('o', bench.key('a'), bench.key('b'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(5);
  });
}
