import { expect } from 'chai';
import { APPLIED, refusal, refusalOf } from './engineBench.ts';
import type { EngineBench } from './engineBench.ts';

const CART = { order_id: 'o', attempt: 1 } as const;
const LONG_AGO = '2001-02-03T04:05:06.789Z';
const FAR_AHEAD = '2999-12-31T23:59:59.999Z';

/** The promises of every engine about SKUs that are not on sale. @param now returns the bench of the running test */
export function salePromises(now: () => EngineBench): void {
  it('sells nothing new while a SKU is paused, and sells again after the pause', async () => {
    const bench = now();
    await bench.open(5);
    expect(await bench.sale('paused')).to.deep.equal(APPLIED);
    expect(await bench.deduct('o', bench.line('a', 1))).to.deep.equal(refusalOf(bench.line('a', 1), 'not_on_sale'));
    expect(await bench.hold(CART, bench.line('a', 1))).to.deep.equal(refusalOf(bench.line('a', 1), 'not_on_sale'));
    expect(await bench.flow('a')).to.equal(null);
    expect(await bench.sale('on')).to.deep.equal(APPLIED);
    expect((await bench.deduct('o', bench.line('a', 1))).is).to.equal('deducted');
    expect(await bench.left()).to.equal(4);
  });

  it('answers replays and accepts returns while a SKU is paused', async () => {
    const bench = now();
    await bench.open(9);
    await bench.deduct('o', bench.line('a', 3), bench.line('b', 1));
    await bench.hold(CART, bench.line('c', 1), bench.line('d', 1));
    await bench.sale('paused');
    expect(await bench.deduct('o', bench.line('a', 3))).to.deep.equal({
      is: 'deducted',
      lines: [{ ...bench.line('a', 3), replayed: true, returned: 0 }],
    });
    expect((await bench.hold(CART, bench.line('c', 1))).is).to.equal('held');
    expect(await bench.complete(CART, 'committed', bench.line('c', 1))).to.deep.equal(APPLIED);
    expect(await bench.complete(CART, 'aborted', bench.line('d', 1))).to.deep.equal(APPLIED);
    expect((await bench.giveBack('r1', bench.line('a', 2))).is).to.equal('returned');
    expect(await bench.cancel('o', bench.key('b'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(7);
  });

  it('restocks and writes off while a SKU is paused', async () => {
    const bench = now();
    await bench.open(5);
    await bench.sale('paused');
    expect(await bench.adjust('up', 3)).to.deep.equal(APPLIED);
    expect(await bench.adjust('down', -8)).to.deep.equal(APPLIED);
    expect(await bench.adjust('more', -1)).to.deep.equal(refusal('insufficient_stock', { leaved_amount: 0 }));
    expect(await bench.left()).to.equal(0);
  });

  it('sells from its start time on', async () => {
    const bench = now();
    await bench.open(5);
    await bench.sale('on', FAR_AHEAD);
    expect(await bench.deduct('o', bench.line('a', 1))).to.deep.equal(refusalOf(bench.line('a', 1), 'not_on_sale'));
    await bench.sale('on', LONG_AGO);
    expect((await bench.deduct('o', bench.line('a', 1))).is).to.equal('deducted');
    await bench.sale('paused', LONG_AGO);
    expect(await bench.deduct('o', bench.line('b', 1))).to.deep.equal(refusalOf(bench.line('b', 1), 'not_on_sale'));
    await bench.sale('on');
    expect((await bench.deduct('o', bench.line('b', 1))).is).to.equal('deducted');
  });

  it('reports that a line is not on sale ahead of insufficient stock', async () => {
    const bench = now();
    await bench.open(1);
    await bench.open(1, bench.other);
    await bench.sale('paused');
    const lines = [bench.line('a', 2, bench.other), bench.line('b', 2)];
    expect(await bench.deduct('o', ...lines)).to.deep.equal({
      is: 'refused',
      code: 'not_on_sale',
      lines: [
        { ...bench.line('a', 2, bench.other), code: 'insufficient_stock', leaved_amount: 1 },
        { ...bench.line('b', 2), code: 'not_on_sale' },
      ],
    });
  });

  it('reports no held units of a SKU that is not on sale', async () => {
    const bench = now();
    await bench.open(1);
    await bench.hold(CART, bench.line('a', 1));
    await bench.sale('paused');
    expect(await bench.deduct('another', bench.line('b', 1))).to.deep.equal(
      refusalOf(bench.line('b', 1), 'not_on_sale'),
    );
  });

  it('refuses to pause a SKU that was not opened', async () => {
    expect(await now().sale('paused')).to.deep.equal(refusal('unknown_sku'));
  });
}
