import { expect } from 'chai';
import type { Line } from '../../src/core/types.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import type { OrderOutcome } from '../../src/service/orders/deductOrder.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { PROTOCOLS, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const CROWD = 60;
/** Above the one second of a lock wait, and below the time of a request. */
const OTHERS_MS_MAX = 2_800;
const AMPLE = 1_000;

/** Carts that wait for one SKU or record must not delay carts that do not name it. */
for (const protocol of PROTOCOLS) {
  describe(`crowded carts, each sold by ${protocol.name}`, () => {
    let bench: CartBench;
    before(async () => {
      bench = openCartBench(undefined, protocol.engine);
      await bench.ready();
    });
    after(() => bench.close());

    const sessions: Awaited<ReturnType<typeof sideSession>>[] = [];
    afterEach(() => {
      for (const session of sessions.splice(0)) session.destroy();
    });
    const openTwo = async (): Promise<string[]> => {
      const name = fresh('crowd');
      const sku_ids = protocol.shards.slice(0, 2).map((shard) => skuOn(shard, name));
      for (const sku_id of sku_ids) await bench.open(sku_id, AMPLE);
      return sku_ids;
    };
    const sell = async (order_id: string, lines: readonly Line[]): Promise<OrderOutcome['is']> =>
      (await deductOrder(bench.parts, { order_id, lines }, performance.now() + WAIT_MS)).outcome.is;
    const coordinatorOf = (sku_ids: readonly string[]): number =>
      Math.min(...sku_ids.map((sku_id) => bench.shardOf(sku_id)));
    /** Locks a row. @returns a function that unlocks it */
    const lock = async (
      shard: number,
      table: 'stock' | 'cart' | 'order_record',
      key: 'sku_id' | 'order_id',
      id: string,
    ): Promise<() => void> => {
      const session = await sideSession(shard);
      sessions.push(session);
      // Without the gaps beside the row, in which other rows are inserted.
      await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await session.query('BEGIN');
      await session.query(`SELECT 1 FROM ${table} WHERE ${key} = ? FOR UPDATE`, [Buffer.from(id)]);
      return () => session.destroy();
    };

    /**
     * Sells carts that share no SKU with a crowd of carts that was sent before them, and needs a locked row. In one
     * common queue, each of them would have to wait until the whole crowd had been admitted.
     */
    const expectOthersSold = async (
      join: () => Promise<OrderOutcome['is']>,
      unlock: () => void,
      mustWait: boolean,
    ): Promise<OrderOutcome['is'][]> => {
      const others = await openTwo();
      const early: OrderOutcome['is'][] = [];
      const crowd = Array.from({ length: CROWD }, async () => {
        const is = await join();
        early.push(is);
        return is;
      });
      const sold = await Promise.all(
        Array.from({ length: 10 }, () => fresh('other')).map(async (order_id) => {
          const beganMs = performance.now();
          return { is: await sell(order_id, linesOf(others, order_id)), tookMs: performance.now() - beganMs };
        }),
      );
      if (mustWait) expect(early, 'the row is still locked').to.not.include('deducted');
      unlock();
      expect(sold.map(({ is }) => is)).to.deep.equal(sold.map(() => 'deducted'));
      expect(Math.max(...sold.map(({ tookMs }) => tookMs)), 'milliseconds').to.be.below(OTHERS_MS_MAX);
      return Promise.all(crowd);
    };

    it('do not delay carts of other SKUs while one of their own SKUs is locked', async () => {
      const sku_ids = await openTwo();
      const unlock = await lock(protocol.shards[0], 'stock', 'sku_id', sku_ids[0] ?? '');
      const join = (): Promise<OrderOutcome['is']> => {
        const order_id = fresh('crowd');
        return sell(order_id, linesOf(sku_ids, order_id));
      };
      expect(await expectOthersSold(join, unlock, true)).to.satisfy(isDefinite);
      await nothingHeld(sku_ids, WAIT_MS);
      expect(await join(), 'after the lock').to.equal('deducted');
    });

    it('do not delay other orders when they are many copies of one order with a locked record', async () => {
      const sku_ids = await openTwo();
      const order_id = fresh('copies');
      const lines = linesOf(sku_ids, order_id);
      expect(await sell(order_id, lines)).to.equal('deducted');
      await nothingHeld(sku_ids, WAIT_MS);
      const hasCart = protocol === WITH_ATTEMPTS;
      const unlock = hasCart
        ? await lock(bench.shardOf(order_id), 'cart', 'order_id', order_id)
        : await lock(coordinatorOf(sku_ids), 'order_record', 'order_id', order_id);
      // A copy of an order without a cart needs no record: its lines show that it was sold.
      expect(await expectOthersSold(() => sell(order_id, lines), unlock, hasCart)).to.satisfy(isDefinite);
      expect(await sell(order_id, lines), 'after the lock').to.equal('deducted');
    });
  });
}

function isDefinite(outcomes: readonly OrderOutcome['is'][]): boolean {
  return outcomes.every((is) => is === 'deducted' || is === 'not_done');
}
