import { expect } from 'chai';
import type { Line } from '../../src/core/types.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import type { OrderOutcome } from '../../src/service/orders/deductOrder.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const CROWD = 60;
const PLACES = 16;
const AMPLE = 1_000;

/** Carts that wait for one SKU or record must not delay carts that do not name it. */
describe('crowded carts', () => {
  let bench: CartBench;
  before(() => {
    bench = openCartBench();
  });
  after(() => bench.close());

  const openOn = async (...shards: readonly number[]): Promise<string[]> => {
    const name = fresh('crowd');
    const sku_ids = shards.map((shard) => skuOn(shard, name));
    for (const sku_id of sku_ids) await bench.open(sku_id, AMPLE);
    return sku_ids;
  };
  const sell = async (order_id: string, lines: readonly Line[]): Promise<OrderOutcome['is']> =>
    (await deductOrder(bench.parts, { order_id, lines }, performance.now() + WAIT_MS)).outcome.is;
  /** Locks a row. @returns a function that unlocks it */
  const lock = async (
    shard: number,
    table: 'stock' | 'cart',
    key: 'sku_id' | 'order_id',
    id: string,
  ): Promise<() => void> => {
    const session = await sideSession(shard);
    await session.query('BEGIN');
    await session.query(`SELECT 1 FROM ${table} WHERE ${key} = ? FOR UPDATE`, [Buffer.from(id)]);
    return () => session.destroy();
  };

  /**
   * Sells carts that share no SKU with a crowd of carts that was sent before them. In one common queue, each of them
   * would have to wait until the whole crowd had been admitted.
   */
  const expectOthersSold = async (
    join: () => Promise<OrderOutcome['is']>,
    unlock: () => void,
  ): Promise<OrderOutcome['is'][]> => {
    const others = await openOn(1, 9);
    let ended = 0;
    const crowd = Array.from({ length: CROWD }, () => join().finally(() => (ended += 1)));
    const sold = await Promise.all(
      Array.from({ length: 10 }, () => fresh('other')).map(async (order_id) => ({
        is: await sell(order_id, linesOf(others, order_id)),
        ended,
      })),
    );
    unlock();
    expect(sold.map(({ is }) => is)).to.deep.equal(sold.map(() => 'deducted'));
    expect(Math.max(...sold.map((other) => other.ended)), 'carts of the crowd that ended earlier').to.be.below(
      CROWD - PLACES,
    );
    return Promise.all(crowd);
  };

  it('do not delay carts of other SKUs while one of their own SKUs is locked', async () => {
    const sku_ids = await openOn(3, 12);
    const unlock = await lock(3, 'stock', 'sku_id', sku_ids[0] ?? '');
    const join = (): Promise<OrderOutcome['is']> => {
      const order_id = fresh('crowd');
      return sell(order_id, linesOf(sku_ids, order_id));
    };
    expect(await expectOthersSold(join, unlock))
      .to.include('deducted')
      .and.satisfy(isDefinite);
    await nothingHeld(sku_ids, WAIT_MS);
  });

  it('do not delay other orders when they are many copies of one order with a locked record', async () => {
    const sku_ids = await openOn(4, 11);
    const order_id = fresh('copies');
    const lines = linesOf(sku_ids, order_id);
    expect(await sell(order_id, lines)).to.equal('deducted');
    const unlock = await lock(bench.shardOf(order_id), 'cart', 'order_id', order_id);
    expect(await expectOthersSold(() => sell(order_id, lines), unlock))
      .to.include('deducted')
      .and.satisfy(isDefinite);
  });
});

function isDefinite(outcomes: readonly OrderOutcome['is'][]): boolean {
  return outcomes.every((is) => is === 'deducted' || is === 'not_done');
}
