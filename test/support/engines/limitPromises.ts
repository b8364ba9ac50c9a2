import { expect } from 'chai';
import { STOCK_LIMIT } from '../../../src/core/types.ts';
import type { Adjust } from '../../../src/core/operation.ts';
import { APPLIED, APPLIED_BEFORE, refusal } from './engineBench.ts';
import type { EngineBench } from './engineBench.ts';

/** The promises of every engine about the stock limit. @param now returns the bench of the running test */
export function limitPromises(now: () => EngineBench): void {
  it('bounds opening stock plus adjustments, also when units of the SKU were sold', async () => {
    const bench = now();
    await bench.open(STOCK_LIMIT);
    await bench.deduct('o', bench.line('a', 1_000));
    await bench.deduct('p', bench.line('b', 1_000));
    expect(await bench.adjust('more', 2_000)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.adjust('one', 1)).to.deep.equal(refusal('stock_limit'));
    expect((await bench.giveBack('r', bench.line('a', 1_000))).is).to.equal('returned');
    expect(await bench.cancel('p', bench.key('b'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(STOCK_LIMIT);
  });

  it('accepts a restock up to the exact limit; after that only a write-off makes room', async () => {
    const bench = now();
    await bench.open(5);
    await bench.deduct('o', bench.line('a', 3));
    expect(await bench.adjust('above', STOCK_LIMIT - 4)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.adjust('fill', STOCK_LIMIT - 5)).to.deep.equal(APPLIED);
    expect(await bench.adjust('fill', STOCK_LIMIT - 5)).to.deep.equal(APPLIED_BEFORE);
    expect(await bench.adjust('one', 1)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.adjust('off', -2)).to.deep.equal(APPLIED);
    // The refused adjustment can be accepted later.
    expect(await bench.adjust('one', 1)).to.deep.equal(APPLIED);
    expect(await bench.adjust('two', 2)).to.deep.equal(refusal('stock_limit'));
    expect(await bench.cancel('o', bench.key('a'))).to.deep.equal(APPLIED);
    expect(await bench.left()).to.equal(STOCK_LIMIT - 1);
  });

  it('accepts, of restocks that arrive together, only those that fit together', async () => {
    const bench = now();
    await bench.open(STOCK_LIMIT - 10);
    await bench.deduct('o', bench.line('a', 1_000));
    const restock = { kind: 'adjust', sku_id: bench.sku, delta: 3, reason: null } as const;
    const restocks = Array.from({ length: 6 }, (_, place): Adjust => ({ ...restock, adjustment_id: `in ${place}` }));
    const outcomes = await bench.subject.engine.apply(bench.shard, restocks, bench.deadline());
    const refusals = outcomes.filter(({ is }) => is === 'refused');
    expect(outcomes.filter(({ is }) => is === 'applied')).to.have.length(3);
    expect(refusals).to.deep.equal(Array.from({ length: 3 }, () => refusal('stock_limit')));
    expect(await bench.left()).to.equal(STOCK_LIMIT - 1_001);
  });
}
