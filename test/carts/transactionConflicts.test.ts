import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Line } from '../../src/core/types.ts';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { cartRows, endsOf, linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { isDecision, openTransactionBench, withSteps } from '../support/carts/transactionBench.ts';
import type { TransactionBench } from '../support/carts/transactionBench.ts';
import { openTransactions, transactionsOf } from '../support/carts/transactionRows.ts';
import { openShards } from '../support/engines/engines.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';

const REQUEST_MS = 3_000;
/** Orders that wait for each other wait until their deadline. */
const QUICK_MS = 2_300;
const PAIRS = 12;
/** Orders with a SKU that is known to be locked end within this time: a hold of it alone waits for the lock. */
const LOCKED_MS = [1_000, 2_500];
/** Orders without such a SKU do not wait. */
const FREE_MS = 1_000;

describe('orders over several servers that compete', () => {
  let benches: readonly [TransactionBench, TransactionBench];
  /** The shards of even numbers and those of odd numbers count as different servers. */
  let interleaved: readonly [TransactionBench, TransactionBench];
  before(async () => {
    benches = [await openTransactionBench(), await openTransactionBench()];
    const shards = stack().shards.map((shard, index) => ({
      ...shard,
      address: { ...shard.address, host: index % 2 === 0 ? shard.address.host : 'localhost' },
    }));
    const open = () => openTransactionBench(openShards({ ...stack(), shards }));
    interleaved = [await open(), await open()];
  });
  after(() => {
    for (const bench of [...benches, ...interleaved]) bench.close();
  });

  const LAYOUTS = [
    // The first order has most lines on one server and the second on the other.
    { what: "that coordinate at each other's participant", of: () => benches, first: [3, 12, 4], second: [3, 12, 13] },
    // By their lowest shards, the first order comes to the servers in another order than the second.
    { what: 'on servers whose shards alternate', of: () => interleaved, first: [2, 3, 1], second: [2, 3] },
  ];
  for (const { what, of, first, second } of LAYOUTS) {
    it(`do not wait for each other until their deadlines, ${what} (rule 9)`, async () => {
      await inParallel(Array.from({ length: PAIRS }), 4, async () => {
        const name = fresh('pair');
        // Both want the only unit of the first two SKUs.
        const skuOf = new Map<number, string>();
        for (const shard of new Set([...first, ...second])) skuOf.set(shard, skuOn(shard, name));
        for (const [shard, sku_id] of skuOf) await of()[0].open(sku_id, first.slice(0, 2).includes(shard) ? 1 : 9);
        const linesAt = (shards: readonly number[], id: string): Line[] =>
          linesOf(
            shards.map((shard) => skuOf.get(shard) ?? ''),
            id,
          );
        const meeting = meetings(2, 200);
        const sell = async (place: 0 | 1, shards: readonly number[]) => {
          const began = performance.now();
          const outcome = await of()[place].sell(`${name}-${place}`, linesAt(shards, `${place}`), {
            ms: REQUEST_MS,
            around: withSteps({ before: (step) => (isDecision(step) ? meeting() : undefined) }),
          });
          return { is: outcome.is, ms: performance.now() - began };
        };
        const sold = await Promise.all([sell(0, first), sell(1, second)]);
        expect(sold.map(({ is }) => is).sort(), name).to.deep.equal(['deducted', 'refused']);
        expect(Math.max(...sold.map(({ ms }) => ms)), name).to.be.below(QUICK_MS);
        await nothingHeld([...skuOf.values()], 15_000);
      });
    }).timeout(120_000);
  }

  it('are refused with the lines of all servers, and the code that has precedence (rule 12)', async () => {
    const [bench] = benches;
    const name = fresh('refused');
    const [short, ample, taken, other] = [3, 4, 12, 13].map((shard) => skuOn(shard, name)) as [
      string,
      string,
      string,
      string,
    ];
    for (const [sku_id, units] of [
      [short, 1],
      [ample, 9],
      [taken, 9],
      [other, 9],
    ] as const)
      await bench.open(sku_id, units);
    const line = (sku_id: string, quantity: number): Line => ({ sku_id, order_detail_id: name, quantity });
    await bench.sell('another order', [line(taken, 1)]);
    const unknown = skuOn(14, fresh('unknown'));
    const insufficient = { ...line(short, 2), code: 'insufficient_stock', leaved_amount: 1 } as const;
    const conflict = { ...line(taken, 1), code: 'idempotency_conflict' } as const;
    const missing = { ...line(unknown, 1), code: 'unknown_sku' } as const;
    const cases = [
      // The coordinator has most lines: the second server, then the first, then the second again.
      {
        lines: [line(short, 2), line(taken, 1), line(unknown, 1)],
        code: 'idempotency_conflict',
        refused: [insufficient, conflict, missing],
      },
      {
        lines: [line(unknown, 1), line(short, 2), line(ample, 1)],
        code: 'unknown_sku',
        refused: [missing, insufficient],
      },
      {
        lines: [line(short, 2), line(other, 1), line(unknown, 1)],
        code: 'unknown_sku',
        refused: [insufficient, missing],
      },
      { lines: [line(short, 2), line(other, 1)], code: 'insufficient_stock', refused: [insufficient] },
      // Nothing is refused on the server that coordinates.
      { lines: [line(short, 1), line(ample, 1), line(unknown, 1)], code: 'unknown_sku', refused: [missing] },
    ];
    for (const { lines, code, refused } of cases)
      expect(await bench.sell(name, lines)).to.deep.equal({ is: 'refused', code, lines: refused });
    await nothingHeld([short, ample, taken, other], 15_000);
    expect(await transactionsOf(name)).to.deep.equal([]);
  });

  for (const shards of [
    [3, 5],
    [3, 12, 13],
  ]) {
    const where = shards.length === 2 ? 'one server' : 'two servers';
    it(`with a locked SKU fail alone and quickly on ${where}, and their other SKUs are sold (rule 13)`, async () => {
      const [bench] = benches;
      const name = fresh('locked');
      const sku_ids = shards.map((shard) => skuOn(shard, name));
      for (const sku_id of sku_ids) await bench.open(sku_id, 1_000);
      await bench.sell(name, linesOf(sku_ids, name));
      await nothingHeld(sku_ids, 15_000);
      const side = await sideSession(3);
      await side.beginTransaction();
      await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_ids[0] ?? '')]);
      try {
        // The first order finds the lock out.
        expect((await bench.sell(fresh('first'), linesOf(sku_ids, fresh('first')))).is).to.equal('not_done');
        const timed = async (lines: readonly Line[]) => {
          const began = performance.now();
          const { is } = await bench.sell(lines[0]?.order_detail_id ?? '', lines);
          return { is, ms: performance.now() - began };
        };
        const [lockedMs, freeMs]: [number[], number[]] = [[], []];
        for (let round = 0; round < 5; round += 1) {
          const [locked, ...free] = await Promise.all([
            timed(linesOf(sku_ids, fresh('named'))),
            ...Array.from({ length: 4 }, () => timed(linesOf(sku_ids.slice(1), fresh('free')))),
          ]);
          expect(locked.is).to.equal('not_done');
          expect(free.map(({ is }) => is)).to.deep.equal(free.map(() => 'deducted'));
          lockedMs.push(locked.ms);
          freeMs.push(Math.max(...free.map(({ ms }) => ms)));
        }
        // A busy machine delays some rounds. An order that waits for the lock is slow in every round.
        expect(Math.min(...lockedMs)).to.be.below(LOCKED_MS[shards.length - 2] ?? 0);
        expect(Math.min(...freeMs)).to.be.below(FREE_MS);
        await sleep(200);
        // Only the transaction that keeps the row locked is open.
        expect(await openTransactions(3)).to.equal(1);
      } finally {
        await side.rollback();
        side.destroy();
      }
      const after = linesOf(sku_ids, fresh('after'));
      expect((await bench.sell(fresh('after'), after)).is).to.equal('deducted');
      await nothingHeld(sku_ids, 15_000);
      expect(endsOf(await cartRows(sku_ids), after)).to.deep.equal(after.map(() => 'deducted'));
    }).timeout(60_000);
  }
});

/** Waits until so many callers are there, or until a time is up; each meeting is a new one. */
function meetings(count: number, waitMs: number): () => Promise<unknown> {
  let waiting: (() => void)[] = [];
  return () => {
    const met = new Promise<void>((resolve) => waiting.push(resolve));
    if (waiting.length === count) {
      for (const release of waiting) release();
      waiting = [];
    }
    return Promise.race([met, sleep(waitMs)]);
  };
}
