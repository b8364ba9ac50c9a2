import { expect } from 'chai';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import { Breaker } from '../../src/core/breaker.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { RetryBudget } from '../../src/mysql/connection/retryBudget.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

describe('breaker', () => {
  const create = (): Breaker => new Breaker({ windowMs: 1_000, failuresMin: 5, successShareMin: 0.1 });
  const fail = (breaker: Breaker, times: number, atMs: number): void => {
    for (let time = 0; time < times; time += 1) breaker.record(false, atMs);
  };

  it('opens when almost no request succeeds, not before', () => {
    const breaker = create();
    fail(breaker, 4, 0);
    expect(breaker.isOpen).to.equal(false);
    expect(breaker.record(false, 1)).to.equal(true);
    expect(breaker.isOpen).to.equal(true);
  });

  it('stays closed while a tenth of the requests succeed, however many fail', () => {
    const breaker = create();
    for (let round = 0; round < 50; round += 1) {
      breaker.record(true, round);
      fail(breaker, 9, round);
    }
    expect(breaker.isOpen).to.equal(false);
  });

  it('forgets results that are older than its window', () => {
    const breaker = create();
    for (let time = 0; time < 100; time += 1) breaker.record(true, 0);
    fail(breaker, 4, 1_100);
    expect(breaker.isOpen).to.equal(false);
    fail(breaker, 1, 1_101);
    expect(breaker.isOpen).to.equal(true);
    const slow = create();
    for (let second = 0; second < 20; second += 1) fail(slow, 2, second * 1_000);
    expect(slow.isOpen).to.equal(false);
  });

  it('closes when a probe is answered, and restarts its counts', () => {
    const breaker = create();
    fail(breaker, 5, 0);
    breaker.close();
    fail(breaker, 4, 1);
    expect(breaker.isOpen).to.equal(false);
  });

  for (const [connections_max, statementMs] of [
    [8, 400],
    [2, 1_000],
  ] as const)
    describe(`of a shard with ${connections_max} connections`, () => {
      const SHARD = 4;
      let proxy: WireProxy;
      let shards: Shard[];
      let engine: TextbookEngine;
      let sku_id: string;
      const deduct = async (shard: number, of: string): Promise<{ is: DeductOutcome['is']; ms: number }> => {
        const startedMs = performance.now();
        const line = { sku_id: of, order_detail_id: fresh('breaker'), quantity: 1 };
        const [outcome] = await engine.apply(
          shard,
          [{ kind: 'deduct', order_id: 'o', lines: [line] }],
          startedMs + 3_000,
        );
        return { is: (outcome as DeductOutcome).is, ms: performance.now() - startedMs };
      };
      const state = (): string | undefined => shards[SHARD]?.state().breaker;

      before(async () => {
        proxy = await startWireProxy(addressOf(SHARD));
        const proxied = stack().shards.map((shard, index) =>
          index === SHARD ? { ...shard, connections_max, address: { ...shard.address, port: proxy.port } } : shard,
        );
        shards = openShards({ ...stack(), shards: proxied }, statementMs);
        engine = new TextbookEngine(shards);
        sku_id = skuOn(SHARD, fresh('breaker'));
        await engine.apply(SHARD, [{ kind: 'open', sku_id, leaved_amount: 1_000 }], performance.now() + 3_000);
      });
      after(async () => {
        for (const { pool } of shards) pool.close();
        await proxy.close();
      });

      it('opens while the shard is silent, so that callers do not wait, and closes when it answers', async () => {
        proxy.setSilent(true);
        // Several SKUs, because the quota of each SKU is not tested here.
        const others = Array.from({ length: 8 }, () => skuOn(SHARD, fresh('breaker')));
        await eventually('the breaker opens', 10_000, async () => {
          await Promise.all(others.map((other) => deduct(SHARD, other)));
          return state() === 'open';
        });
        const rejected = await Promise.all(Array.from({ length: 50 }, () => deduct(SHARD, sku_id)));
        expect(new Set(rejected.map(({ is }) => is))).to.deep.equal(new Set(['not_done']));
        expect(Math.max(...rejected.map(({ ms }) => ms)), 'no rejected request waited for a deadline').to.be.below(
          1_500,
        );
        proxy.setSilent(false);
        await eventually('the breaker closes', 10_000, () => state() === 'closed');
        expect((await deduct(SHARD, sku_id)).is).to.equal('deducted');
      });
    });
});

describe('retry budget', () => {
  it('allows retries for a tenth of the attempts, beyond the initial budget', () => {
    const budget = new RetryBudget();
    let retries = 0;
    for (let attempt = 0; attempt < 1_000; attempt += 1) {
      budget.earn();
      while (budget.spend()) retries += 1;
    }
    expect(retries).to.be.within(100, 111);
    expect(budget.retries).to.equal(retries);
  });
});
