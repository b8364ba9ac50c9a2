import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { STOCK_LIMIT } from '../../../src/core/types.ts';
import type { CartKey, Hold, Line } from '../../../src/core/types.ts';
import { APPLIED, APPLIED_BEFORE, refusal, refusalOf } from '../engines/engineBench.ts';
import type { EngineBench } from '../engines/engineBench.ts';

const held = (...lines: Line[]) => ({
  is: 'held',
  lines: lines.map((line) => ({ ...line, replayed: false, returned: 0 })),
});
const deducted = (line: Line) => ({ is: 'deducted', lines: [{ ...line, replayed: false, returned: 0 }] });

/** How the attempts of an order are named: by a number, or each by a transaction. */
export type AttemptNames = 'numbers' | 'transactions';

/**
 * The promises of every engine about holds and their ends.
 *
 * @param now returns the bench of the running test
 */
export function cartPromises(now: () => EngineBench, names: AttemptNames): void {
  const isNumbered = names === 'numbers';
  const named = (order_id: string, attempt: number): CartKey => {
    if (isNumbered) return { order_id, attempt };
    const transaction_id = createHash('md5').update(`${order_id}\0${attempt}`).digest('hex');
    return { order_id, attempt: 0, transaction: { transaction_id, coordinator: 0 } };
  };
  const [FIRST, SECOND, FOREIGN] = [named('o', 1), named('o', 2), named('another', 1)];
  /** Holds are compared without their transactions. */
  const pending = (...holds: Hold[]) => ({
    is: 'pending',
    holds: holds.map(({ sku_id, order_detail_id, order_id, attempt }) => ({
      sku_id,
      order_detail_id,
      order_id,
      attempt,
    })),
  });

  it('takes held units out of the units left', async () => {
    const bench = now();
    await bench.open(5);
    expect(await bench.hold(FIRST, bench.line('a', 3))).to.deep.equal(held(bench.line('a', 3)));
    expect(await bench.left()).to.equal(2);
    expect(await bench.flow('a')).to.deep.include({ ...bench.line('a', 3), ...FIRST, status: 'pending', returned: 0 });
  });

  it('holds once, however often the same attempt is sent', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.hold(FIRST, bench.line('a', 3))).to.deep.equal(held(bench.line('a', 3)));
    expect(await bench.left()).to.equal(2);
    await bench.complete(FIRST, 'aborted', bench.line('a', 3));
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

  it('does not change a line that is already sold', async () => {
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
    await bench.complete(FIRST, 'aborted', bench.line('a', 2), bench.line('b', 1));
    expect(await bench.flow('a')).to.deep.include({ status: 'deducted' });
    expect(await bench.left()).to.equal(3);
  });

  it('sells the held units when the cart is committed, once and finally', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.complete(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED);
    expect(await bench.complete(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.complete(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.flow('a')).to.deep.include({ ...bench.line('a', 3), ...FIRST, status: 'deducted' });
    expect(await bench.left()).to.equal(2);
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal({
      is: 'deducted',
      lines: [{ ...bench.line('a', 3), replayed: true, returned: 0 }],
    });
  });

  const rest = isNumbered ? 'a void flow' : 'no flow';
  it(`gives back the held units when the cart is aborted, once, and leaves ${rest}`, async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    expect(await bench.complete(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED);
    expect(await bench.complete(FIRST, 'aborted', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.complete(FIRST, 'committed', bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.left()).to.equal(5);
    if (isNumbered) expect(await bench.flow('a')).to.deep.include({ ...FIRST, status: 'void' });
    else expect(await bench.flow('a')).to.equal(null);
  });

  it('lets the next attempt hold the units that an earlier one gave back', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    await bench.complete(FIRST, 'aborted', bench.line('a', 3));
    expect(await bench.hold(SECOND, bench.line('a', 4))).to.deep.equal(held(bench.line('a', 4)));
    expect((await bench.complete(FIRST, 'aborted', bench.line('a', 3))).is).to.equal('applied');
    expect(await bench.flow('a')).to.deep.include({ ...SECOND, ...bench.line('a', 4), status: 'pending' });
    await bench.complete(SECOND, 'aborted', bench.line('a', 4));
    if (isNumbered) expect((await bench.hold(FIRST, bench.line('a', 3))).is).to.equal('not_done');
    expect(await bench.left()).to.equal(5);
  });

  it('completes only the holds of this very attempt', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    for (const decision of ['committed', 'aborted'] as const) {
      expect(await bench.complete(SECOND, decision, bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
      expect(await bench.complete(FOREIGN, decision, bench.line('a', 3))).to.deep.equal(APPLIED_BEFORE);
    }
    expect(await bench.complete(FIRST, 'committed', bench.line('b', 1))).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.flow('a')).to.deep.include({ ...FIRST, status: 'pending' });
    expect(await bench.flow('b')).to.equal(null);
    expect(await bench.left()).to.equal(2);
  });

  it('names the cart that holds an id', async () => {
    const bench = now();
    await bench.open(9);
    await bench.hold(FIRST, bench.line('a', 3));
    const blocked = pending({ ...bench.key('a'), ...FIRST });
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal(blocked);
    expect(await bench.deduct('another', bench.line('b', 1), bench.line('a', 1))).to.deep.equal(blocked);
    expect(await bench.hold(SECOND, bench.line('a', 3))).to.deep.equal(blocked);
    expect(await bench.hold(FOREIGN, bench.line('a', 3))).to.deep.equal(blocked);
    expect(await bench.flow('b')).to.equal(null);
    expect(await bench.left()).to.equal(6);
  });

  it('names the carts that hold the missing units, and is sold out only when those would not suffice', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 2));
    await bench.hold(FOREIGN, bench.line('b', 2));
    const holders = pending({ ...bench.key('a'), ...FIRST }, { ...bench.key('b'), ...FOREIGN });
    expect(await bench.deduct('third', bench.line('c', 5))).to.deep.equal(holders);
    expect(await bench.hold(named('third', 1), bench.line('c', 2))).to.deep.equal(holders);
    expect(await bench.deduct('third', bench.line('c', 6))).to.deep.equal(
      refusalOf(bench.line('c', 6), 'insufficient_stock', { leaved_amount: 1 }),
    );
    await bench.complete(FIRST, 'committed', bench.line('a', 2));
    expect(await bench.deduct('third', bench.line('c', 4))).to.deep.include({
      is: 'refused',
      code: 'insufficient_stock',
    });
    await bench.complete(FOREIGN, 'aborted', bench.line('b', 2));
    expect(await bench.deduct('third', bench.line('c', 3))).to.deep.equal(deducted(bench.line('c', 3)));
    expect(await bench.left()).to.equal(0);
  });

  it('reports a refusal before a pending hold', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 2));
    expect(await bench.deduct('o', bench.line('a', 2), bench.line('b', 1, bench.other))).to.deep.equal(
      refusalOf(bench.line('b', 1, bench.other), 'unknown_sku'),
    );
  });

  it('does not write off held units, and keeps room for their return', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 5));
    expect(await bench.adjust('down', -1)).to.deep.equal(refusal('insufficient_stock', { leaved_amount: 0 }));
    expect(await bench.adjust('fill', STOCK_LIMIT)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.adjust('rest', STOCK_LIMIT - 5)).to.deep.equal(APPLIED);
    expect(await bench.complete(FIRST, 'aborted', bench.line('a', 5))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(STOCK_LIMIT);
  });

  if (isNumbered) lateHoldPromises(now);
}

/** Only numbered attempts have an order, so only their void flows reject late holds. */
function lateHoldPromises(now: () => EngineBench): void {
  const [FIRST, SECOND, FOREIGN] = [
    { order_id: 'o', attempt: 1 },
    { order_id: 'o', attempt: 2 },
    { order_id: 'another', attempt: 1 },
  ] as const;

  it('rejects a hold that arrives after its cart was aborted', async () => {
    const bench = now();
    await bench.open(5);
    await bench.hold(FIRST, bench.line('a', 3));
    await bench.complete(FIRST, 'aborted', bench.line('a', 3), bench.line('b', 1));
    expect((await bench.hold(FIRST, bench.line('a', 3))).is).to.equal('not_done');
    // The hold of this line was still under way when its cart was aborted.
    expect((await bench.hold(FIRST, bench.line('c', 1), bench.line('b', 1))).is).to.equal('not_done');
    expect(await bench.left()).to.equal(5);
    expect(await bench.flow('c')).to.equal(null);
  });

  it('rejects a late hold of a later attempt too, where an earlier one left a void flow', async () => {
    const bench = now();
    await bench.open(5);
    await bench.complete(FIRST, 'aborted', bench.line('a', 1));
    expect(await bench.complete(SECOND, 'aborted', bench.line('a', 1))).to.deep.equal(APPLIED);
    expect((await bench.hold(SECOND, bench.line('a', 1))).is).to.equal('not_done');
    expect((await bench.hold({ order_id: 'o', attempt: 3 }, bench.line('a', 1))).is).to.equal('held');
  });

  it('lets another order, or an ordinary deduction of the same order, replace a void flow', async () => {
    const bench = now();
    await bench.open(9);
    await bench.complete(FIRST, 'aborted', bench.line('a', 1), bench.line('b', 1), bench.line('c', 1));
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
}
