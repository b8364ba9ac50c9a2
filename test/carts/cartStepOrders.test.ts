import { expect } from 'chai';
import { inParallel } from '../../scripts/support/inParallel.ts';
import type { CartKey, Line } from '../../src/core/types.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, endsOf } from '../support/carts/cartRows.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { skuOn } from '../support/engines/traffic.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';

/**
 * The steps that may be done to a cart, each by a process of its own. The first hold reaches two of the three shards,
 * the second all of them. `commit` and `abort` decide and complete the cart; two more steps read the decision and
 * complete it.
 */
const STEPS = ['hold two', 'hold all', 'commit', 'abort', 'settle', 'settle again'] as const;
type Step = (typeof STEPS)[number];

/** For a busy machine. */
const TEST_MS = 600_000;

const OPENED = 10_000;
/** They differ, so that units of one line cannot be mistaken for units of another. */
const QUANTITIES = [1, 2, 4] as const;
/** Lanes under way at once, each with SKUs of its own. A lane plays its orders one after the other. */
const LANES = 12;

const ORDERS = permutations(STEPS);

interface Tried {
  readonly order_id: string;
  readonly lines: readonly Line[];
  readonly steps: readonly Step[];
  readonly isSold: boolean;
}

describe('a cart whose steps come in every order', () => {
  let bench: CartBench;
  before(() => {
    bench = openCartBench();
  });
  after(() => bench.close());

  it('is tried in all 720 orders of its six steps', () => {
    expect(new Set(ORDERS.map((steps) => steps.join())).size).to.equal(720);
  });

  it('ends in one of two ways when its record was written first, in every order of the steps', async () => {
    await tryAll(LONG ? ORDERS : sample(ORDERS, 3), true);
  }).timeout(TEST_MS);

  it('ends without an effect when it has no record, because a read of its decision writes it as aborted', async () => {
    await tryAll(LONG ? ORDERS : sample(ORDERS, 6), false);
  }).timeout(TEST_MS);

  /** Plays every order of steps on a cart of its own, sweeps once, and compares all rows with the expected ones. */
  async function tryAll(orders: readonly (readonly Step[])[], hasRecord: boolean): Promise<void> {
    const lanes = orders.map((_, place) => place).slice(0, LANES);
    const tried: Tried[] = [];
    const skusOfLane = lanes.map(() => {
      const name = fresh('orders');
      return [1, 2, 3].map((shard) => skuOn(shard, name));
    });
    await inParallel(skusOfLane.flat(), LANES, (sku_id) => bench.open(sku_id, OPENED));
    await inParallel(lanes, LANES, async (lane) => {
      const sku_ids = skusOfLane[lane] ?? [];
      for (let place = lane; place < orders.length; place += LANES) {
        tried.push(await tryOne(sku_ids, orders[place] ?? [], hasRecord));
      }
    });
    await age({ order_ids: tried.map(({ order_id }) => order_id), sku_ids: skusOfLane.flat() });
    await bench.sweeper().sweep();

    const rows = await cartRows(skusOfLane.flat());
    expect(rows.holds, 'rows of cart_hold').to.equal(0);
    const wrong = tried.flatMap(({ lines, steps, isSold }) => {
      const ends = endsOf(rows, lines).join();
      return ends === (isSold ? 'deducted,deducted,deducted' : 'none,none,none')
        ? []
        : [`${steps.join(', ')}: ${ends}`];
    });
    expect(wrong, `${wrong.length} of ${tried.length}`).to.deep.equal([]);
    for (const sku_id of skusOfLane.flat()) {
      const sold = tried
        .filter(({ isSold }) => isSold)
        .flatMap(({ lines }) => lines.filter((line) => line.sku_id === sku_id));
      const units = sold.reduce((sum, { quantity }) => sum + quantity, 0);
      expect(rows.stock.get(sku_id), sku_id).to.deep.equal({ leaved: OPENED - units, held: 0 });
    }
    expect(
      tried.some(({ isSold }) => isSold),
      'some are sold',
    ).to.equal(hasRecord);
  }

  async function tryOne(sku_ids: readonly string[], steps: readonly Step[], hasRecord: boolean): Promise<Tried> {
    const order_id = fresh('order');
    const lines = sku_ids.map((sku_id, place): Line => ({
      sku_id,
      order_detail_id: order_id,
      quantity: QUANTITIES[place] ?? 1,
    }));
    const cart: CartKey = { order_id, attempt: 1 };
    const ownerShard = bench.shardOf(order_id);
    if (hasRecord) {
      const begun = await bench.carts.begin(ownerShard, { order_id, lines }, false, performance.now() + WAIT_MS);
      expect(begun).to.deep.equal({ is: 'begun', attempt: 1 });
    }
    let isUndone = false;
    for (const step of steps) isUndone = (await take(step, ownerShard, cart, lines, isUndone)) || isUndone;
    const isSold = hasRecord && steps.indexOf('commit') < steps.indexOf('abort');
    return { order_id, lines, steps, isSold };
  }

  /** @returns whether the cart is now undone on all shards: a hold that comes later must find that it is late */
  async function take(
    step: Step,
    ownerShard: number,
    cart: CartKey,
    lines: readonly Line[],
    isUndone: boolean,
  ): Promise<boolean> {
    const deadlineMs = performance.now() + WAIT_MS;
    if (step === 'hold two' || step === 'hold all') {
      const held = lines.slice(0, step === 'hold two' ? 2 : 3);
      const outcomes = await Promise.all(held.map((line) => bench.apply({ kind: 'hold', ...cart, lines: [line] })));
      expect(
        outcomes.map(({ is }) => is),
        `${step} of ${isUndone ? 'an undone' : 'a'} cart`,
      ).to.deep.equal(held.map(() => (isUndone ? 'not_done' : 'held')));
      return false;
    }
    const judged =
      step === 'commit' || step === 'abort'
        ? await bench.carts.decide(ownerShard, cart, step === 'commit' ? 'committed' : 'aborted', deadlineMs)
        : await bench.carts.resolve(ownerShard, cart, deadlineMs);
    if (judged.is !== 'judged') throw new Error(`${step}: ${JSON.stringify(judged)}`);
    const { state } = judged;
    if (state === 'open') return false;
    const completed = await Promise.all(
      lines.map((line) => bench.apply({ kind: 'settle', ...cart, decision: state, lines: [line] })),
    );
    expect(
      completed.map(({ is }) => is),
      step,
    ).to.deep.equal(lines.map(() => 'applied'));
    return state === 'aborted';
  }
});

function permutations<T>(things: readonly T[]): T[][] {
  if (things.length === 0) return [[]];
  return things.flatMap((first, place) => permutations(things.toSpliced(place, 1)).map((rest) => [first, ...rest]));
}

/** Every `every`-th item, from a random first one. */
function sample<T>(things: readonly T[], every: number): T[] {
  const first = Math.floor(Math.random() * every);
  return things.filter((_, place) => place % every === first);
}
