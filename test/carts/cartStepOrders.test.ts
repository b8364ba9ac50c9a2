import { expect } from 'chai';
import { inParallel } from '../../scripts/support/inParallel.ts';
import type { Line } from '../../src/core/types.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, endsOf } from '../support/carts/cartRows.ts';
import { ATTEMPT_STEPS, TRANSACTION_STEPS, YOUNG } from '../support/carts/orderSteps.ts';
import type { OrderSteps, StartedOrder } from '../support/carts/orderSteps.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { skuOn } from '../support/engines/traffic.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';

/**
 * The steps that may be done to an order, each by a process of its own. The first hold leaves out one of the lines to
 * hold, the second holds all of them. `commit` and `abort` decide and complete the order; two more steps read the
 * decision and complete it.
 */
const STEPS = ['hold some', 'hold all', 'commit', 'abort', 'settle', 'settle again'] as const;
type Step = (typeof STEPS)[number];

/** For a busy machine. */
const TEST_MS = 600_000;

/** The last has the coordinator of a transaction, on the other server. */
const SHARDS = [1, 3, 10];
const OPENED = 10_000;
/** They differ, so that units of one line cannot be mistaken for units of another. */
const QUANTITIES = [1, 2, 4] as const;
/** Lanes under way at once, each with SKUs of its own. A lane plays its orders one after the other. */
const LANES = 12;

const ORDERS = permutations(STEPS);

/** An order of three lines, on the steps of one protocol. */
interface Kind {
  readonly title: string;
  readonly steps: OrderSteps;
  /** The lines that are held; the coordinator of a transaction has the others itself. */
  readonly heldLines: number;
  readonly hasRecord: boolean;
  /** The step between the orders that the quick form tries. */
  readonly every: number;
  isSold(steps: readonly Step[]): boolean;
}

const isBefore = (steps: readonly Step[], first: Step, ...others: readonly Step[]): boolean =>
  others.every((other) => steps.indexOf(first) < steps.indexOf(other));

const KINDS: readonly Kind[] = [
  {
    title: 'ends in one of two ways when its record was written first, in every order of the steps',
    steps: ATTEMPT_STEPS,
    heldLines: 3,
    hasRecord: true,
    every: 3,
    isSold: (steps) => isBefore(steps, 'commit', 'abort'),
  },
  {
    title: 'ends without an effect when it has no record, because a read of its decision writes it as aborted',
    steps: ATTEMPT_STEPS,
    heldLines: 3,
    hasRecord: false,
    every: 6,
    isSold: () => false,
  },
  {
    title: 'ends in one of two ways when it is a young transaction, in every order of the steps',
    steps: TRANSACTION_STEPS,
    heldLines: 2,
    hasRecord: true,
    every: 3,
    isSold: (steps) => isBefore(steps, 'commit', 'abort'),
  },
  {
    title: 'ends in one of two ways when it is an old transaction, because a read of its decision aborts it',
    steps: TRANSACTION_STEPS,
    heldLines: 2,
    hasRecord: false,
    every: 6,
    isSold: (steps) => isBefore(steps, 'commit', 'abort', 'settle', 'settle again'),
  },
];

interface Tried {
  readonly order_id: string;
  readonly lines: readonly Line[];
  readonly steps: readonly Step[];
  readonly isSold: boolean;
}

describe('a cart whose steps come in every order', () => {
  const benches = new Map<OrderSteps, CartBench>();
  before(async () => {
    for (const steps of [ATTEMPT_STEPS, TRANSACTION_STEPS]) benches.set(steps, openCartBench(undefined, steps.engine));
    for (const bench of benches.values()) await bench.ready();
  });
  after(() => {
    for (const bench of benches.values()) bench.close();
  });

  it('is tried in all 720 orders of its six steps', () => {
    expect(new Set(ORDERS.map((steps) => steps.join())).size).to.equal(720);
  });

  for (const kind of KINDS)
    it(kind.title, async () => {
      await tryAll(LONG ? ORDERS : sample(ORDERS, kind.every), kind);
    }).timeout(TEST_MS);

  /** Plays every order of steps on a cart of its own, sweeps once, and compares all rows with the expected ones. */
  async function tryAll(orders: readonly (readonly Step[])[], kind: Kind): Promise<void> {
    const bench = benches.get(kind.steps) ?? expect.fail('no bench');
    const lanes = orders.map((_, place) => place).slice(0, LANES);
    const tried: Tried[] = [];
    const skusOfLane = lanes.map(() => {
      const name = fresh('orders');
      return SHARDS.map((shard) => skuOn(shard, name));
    });
    await inParallel(skusOfLane.flat(), LANES, (sku_id) => bench.open(sku_id, OPENED));
    await inParallel(lanes, LANES, async (lane) => {
      const sku_ids = skusOfLane[lane] ?? [];
      for (let place = lane; place < orders.length; place += LANES) {
        tried.push(await tryOne(bench, sku_ids, orders[place] ?? [], kind));
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
    ).to.equal(kind.hasRecord || kind.steps === TRANSACTION_STEPS);
  }

  async function tryOne(
    bench: CartBench,
    sku_ids: readonly string[],
    steps: readonly Step[],
    kind: Kind,
  ): Promise<Tried> {
    const order_id = fresh('order');
    const lines = sku_ids.map((sku_id, place): Line => ({
      sku_id,
      order_detail_id: order_id,
      quantity: QUANTITIES[place] ?? 1,
    }));
    const [held, own] = [lines.slice(0, kind.heldLines), lines.slice(kind.heldLines)];
    const started = await kind.steps.start(bench, order_id, held, own, {
      hasRecord: kind.hasRecord,
      ...(kind.hasRecord ? YOUNG : {}),
    });
    let isUndone = false;
    for (const step of steps) {
      // A void flow rejects a late hold of a cart with attempts. That of a transaction is undone later.
      const isLate: boolean = isUndone && kind.steps === ATTEMPT_STEPS;
      isUndone = (await take(step, started, held, isLate)) || isUndone;
    }
    return { order_id, lines, steps, isSold: kind.isSold(steps) };
  }

  /** @returns whether the order is now undone on all shards: a hold that comes later is late */
  async function take(step: Step, started: StartedOrder, lines: readonly Line[], isLate: boolean): Promise<boolean> {
    if (step === 'hold some' || step === 'hold all') {
      const held = step === 'hold some' ? lines.slice(0, -1) : lines;
      expect(await started.hold(held), `${step}, ${isLate ? 'too late' : 'in time'}`).to.deep.equal(
        held.map(() => (isLate ? 'not_done' : 'held')),
      );
      return false;
    }
    const decides = step === 'commit' || step === 'abort';
    const state = decides ? await started.decide(step === 'commit' ? 'committed' : 'aborted') : await started.resolve();
    if (state === 'open') return false;
    expect(await started.complete(state, lines), step).to.deep.equal(lines.map(() => 'applied'));
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
