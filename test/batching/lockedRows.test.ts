import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import { slotOf } from '../../src/core/slots.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { ENGINE_OF, ENGINES_NOW, isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { runAhead } from '../support/faults/runAhead.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const REQUEST_MS = 3_000;
const OPENED = 100_000;
const OTHER_SKUS = 6;
/** For one buyer to wait for the lock with all others, to be separated from them, and to wait for it alone. */
const MET_MS_MAX = 15_000;
/** After this time all orders that were under way when the lock was taken have been answered. */
const PAST_MS = 300;
/** The longest pause between two sales of another SKU: above the one second of a lock wait, and below REQUEST_MS. */
const PAUSE_MS_MAX = 2_800;

/** One order of one line, and its outcome. */
interface Sale {
  readonly sku_id: string;
  readonly order_detail_id: string;
  readonly is: DeductOutcome['is'];
  readonly atMs: number;
}

interface Lock {
  readonly what: string;
  readonly shard: number;
  lock(session: mysql.Connection, sku_id: string): Promise<unknown>;
  /** When another session starts to wait for the lock: a moment before the first wait ends. */
  readonly laterMs?: number;
}

const lockStock = (session: mysql.Connection, sku_id: string): Promise<unknown> =>
  session.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);

const LOCKS: readonly Lock[] = [
  { what: 'stock row', shard: 7, lock: lockStock },
  // MySQL then ends the first wait together with the second.
  { what: 'stock row, with another session that waits', shard: 1, lock: lockStock, laterMs: 800 },
  {
    what: 'flow',
    shard: 10,
    // The flow of an order that is sent later.
    lock: (session, sku_id) =>
      session.query(
        'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
        [sku_id, '40', 'o'].map((text) => Buffer.from(text)),
      ),
  },
  {
    what: 'slot',
    shard: 13,
    lock: (session, sku_id) => session.query('SELECT * FROM slot WHERE slot = ? FOR UPDATE', [slotOf(sku_id)]),
  },
];

/** A locked row delays the orders that need it, and no other order on the same shard and gateway. */
for (const engineName of ENGINES_NOW) {
  describe(`a row that another session keeps locked, engine: ${engineName}`, () => {
    let shards: Shard[];
    let engine: StockEngine;
    let reader: ShardReader;

    before(() => {
      shards = openShards(stack());
      engine = ENGINE_OF[engineName](shards);
      reader = new ShardReader(shards);
    });
    after(async () => {
      await eventually('the shards are quiet again', 5_000, () => LOCKS.every(({ shard }) => isQuiet(shards[shard])));
      for (const { pool } of shards) pool.close();
    });

    const deadline = (): number => performance.now() + REQUEST_MS;
    const opened = async (shard: number): Promise<string> => {
      const sku_id = skuOn(shard, fresh('locked'));
      await engine.apply(shard, [{ kind: 'open', sku_id, leaved_amount: OPENED }], deadline());
      return sku_id;
    };

    /** One buyer for each SKU, one order after the other, until `isOver`. */
    const trade = async (
      shard: number,
      sku_ids: readonly string[],
      sales: Sale[],
      isOver: () => boolean,
    ): Promise<void> => {
      const buyer = async (sku_id: string): Promise<void> => {
        for (let number = 0; !isOver(); number += 1) {
          const line = { sku_id, order_detail_id: `${number}`, quantity: 1 };
          const [outcome] = await engine.apply(shard, [{ kind: 'deduct', order_id: 'o', lines: [line] }], deadline());
          sales.push({ ...line, is: (outcome as DeductOutcome).is, atMs: performance.now() });
          await sleep(5);
        }
      };
      await Promise.all(sku_ids.map(buyer));
    };

    const waitInVain = async (shard: number, sku_id: string): Promise<void> => {
      const session = await sideSession(shard);
      await lockStock(session, sku_id).catch(() => null);
      await session.end();
    };

    const expectOutcomes = async (shard: number, sku_id: string, sales: readonly Sale[]): Promise<void> => {
      const own = sales.filter((sale) => sale.sku_id === sku_id);
      const found = await reader.findFlows(shard, own, deadline());
      if (found.is !== 'found') return expect.fail(found.is);
      const exist = own.map((_, index) => found.flows[index] !== null);
      for (const [index, { is }] of own.entries())
        if (is !== 'unknown') expect(exist[index], `answered ${is}`).to.equal(is === 'deducted');
      const stock = await reader.readStock(shard, sku_id, deadline());
      expect(stock.is === 'found' && stock.rows[0]?.leaved_amount).to.equal(OPENED - exist.filter(Boolean).length);
    };

    const play = runAhead(LOCKS, LOCKS.length, async ({ shard, lock, laterMs }) => {
      const locked = await opened(shard);
      const otherSkus: string[] = [];
      while (otherSkus.length < OTHER_SKUS) {
        const sku_id = await opened(shard);
        // In another slot, because one of the locks is on a slot.
        if (slotOf(sku_id) !== slotOf(locked)) otherSkus.push(sku_id);
      }
      const session = await sideSession(shard);
      let isOver = false;
      const sales: Sale[] = [];
      const trading = trade(shard, [locked, ...otherSkus], sales, () => isOver);
      await session.beginTransaction();
      const fromMs = performance.now();
      await lock(session, locked);
      const later = laterMs === undefined ? null : sleep(laterMs).then(() => waitInVain(shard, locked));
      const isMet = (): boolean =>
        sales.some(({ sku_id, is }) => sku_id === locked && (is === 'not_done' || is === 'unknown'));
      const areSold = (): boolean =>
        otherSkus.every((own) =>
          sales.some(({ sku_id, is, atMs }) => sku_id === own && is === 'deducted' && atMs > fromMs + PAST_MS),
        );
      await eventually('an order waits for the lock, and the other SKUs sell', MET_MS_MAX, () => isMet() && areSold());
      const toMs = performance.now();
      await session.rollback();
      await session.end();
      isOver = true;
      await Promise.all([trading, later]);
      const during = sales.filter(({ atMs }) => atMs > fromMs && atMs < toMs);
      for (const sku_id of otherSkus) {
        const own = during.filter((sale) => sale.sku_id === sku_id);
        const sold = own.filter(({ is }) => is === 'deducted');
        // A machine that is too busy rejects some orders.
        expect(sold.length, 'sales of another SKU').to.be.above(0.75 * own.length);
        const times = [fromMs, ...sold.map(({ atMs }) => atMs), toMs];
        expect(
          Math.max(...times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0))),
          'the longest pause in milliseconds',
        ).to.be.below(PAUSE_MS_MAX);
      }
      for (const sku_id of [locked, ...otherSkus]) await expectOutcomes(shard, sku_id, sales);
    });

    for (const one of LOCKS) it(`lets the other SKUs sell: ${one.what}`, () => play(one));
  });
}
