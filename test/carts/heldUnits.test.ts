import { expect } from 'chai';
import { cancelOrder } from '../../src/service/orders/cancelOrder.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { findDeductions } from '../../src/service/orders/findDeductions.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { returnUnits } from '../../src/service/orders/returnUnits.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, linesOf } from '../support/carts/cartRows.ts';
import { ATTEMPT_STEPS, TRANSACTION_STEPS } from '../support/carts/orderSteps.ts';
import { IN_TRANSACTION, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { skuOn } from '../support/engines/traffic.ts';

const AMPLE = 9;

/** The state of an unfinished order: decided but not completed, or never decided by its coordinator. */
const LEFT = ['committed', 'aborted', 'abandoned', 'no record'] as const;

/** How an order was left, and how the finder sells. A gateway of before the records of orders leaves only carts. */
const PAIRS = [
  { steps: TRANSACTION_STEPS, protocol: IN_TRANSACTION },
  { steps: TRANSACTION_STEPS, protocol: WITH_ATTEMPTS },
  { steps: ATTEMPT_STEPS, protocol: IN_TRANSACTION },
  { steps: ATTEMPT_STEPS, protocol: WITH_ATTEMPTS },
];

interface LeftCart {
  readonly order_id: string;
  /** The SKU with the held unit comes first. */
  readonly sku_ids: readonly [string, string];
}

/** An operation that finds the hold. */
interface Finder {
  readonly name: string;
  run(parts: ServicePorts, cart: LeftCart): Promise<{ readonly is: string }>;
  /** Its outcome when the cart was sold, and when it was not. */
  readonly sold: object;
  readonly undone: object;
}

const deadline = (): number => performance.now() + WAIT_MS;
const keysOf = ({ order_id, sku_ids }: LeftCart) => linesOf(sku_ids, order_id);
const heldOf = (cart: LeftCart) => keysOf(cart).slice(0, 1);
const order = async (parts: ServicePorts, order_id: string, lines: ReturnType<typeof linesOf>) => {
  const { outcome } = await deductOrder(parts, { order_id, lines }, deadline());
  return outcome.is === 'deducted'
    ? { is: outcome.is, replayed: outcome.lines.every(({ replayed }) => replayed) }
    : outcome;
};
const another = (parts: ServicePorts, sku_ids: readonly string[]) => {
  const order_id = fresh('another');
  return order(parts, order_id, linesOf(sku_ids, order_id));
};
const lookUp = async (parts: ServicePorts, cart: LeftCart) => {
  const found = await findDeductions(parts, heldOf(cart), deadline());
  return found.is === 'found' ? { is: found.is, status: found.deductions[0]?.flow.status ?? 'none' } : found;
};

const DEDUCTED = { is: 'deducted', replayed: false } as const;
const REPLAYED = { is: 'deducted', replayed: true } as const;
const SOLD_OUT = { is: 'refused', code: 'insufficient_stock' } as const;

const FINDERS: readonly Finder[] = [
  {
    name: 'a look-up',
    run: lookUp,
    sold: { is: 'found', status: 'deducted' },
    undone: { is: 'found', status: 'none' },
  },
  {
    name: 'a return',
    run: (parts, { order_id, sku_ids: [sku_id] }) =>
      returnUnits(
        parts,
        { kind: 'return', sku_id, order_detail_id: order_id, return_id: 'r', quantity: 1 },
        deadline(),
      ),
    sold: { is: 'returned', returned: 1 },
    undone: { is: 'refused', code: 'unknown_deduction' },
  },
  {
    name: 'a cancellation of its line',
    run: (parts, cart) => cancelOrder(parts, { order_id: cart.order_id, lines: heldOf(cart) }, deadline()),
    sold: { is: 'applied', replayed: false },
    undone: { is: 'applied', replayed: false },
  },
  {
    name: 'a cancellation of its order',
    run: (parts, cart) => cancelOrder(parts, { order_id: cart.order_id, lines: keysOf(cart) }, deadline()),
    sold: { is: 'applied', replayed: false },
    undone: { is: 'applied', replayed: false },
  },
  {
    name: 'its line, sent again',
    run: (parts, cart) => order(parts, cart.order_id, heldOf(cart)),
    sold: REPLAYED,
    undone: DEDUCTED,
  },
  {
    name: 'its order, sent again',
    run: (parts, cart) => order(parts, cart.order_id, keysOf(cart)),
    sold: REPLAYED,
    undone: DEDUCTED,
  },
  {
    name: 'a line that needs the held unit',
    run: (parts, { sku_ids: [held] }) => another(parts, [held]),
    sold: SOLD_OUT,
    undone: DEDUCTED,
  },
  {
    name: 'a cart that needs the held unit',
    run: (parts, { sku_ids }) => another(parts, sku_ids),
    sold: SOLD_OUT,
    undone: DEDUCTED,
  },
];

/** No sweeper runs here: only the operation that finds an unfinished order completes it. */
for (const { steps, protocol } of PAIRS) {
  describe(`units held by ${steps.name}, found by a gateway that sells with ${protocol.name}`, () => {
    let bench: CartBench;
    let parts: ServicePorts;
    before(async () => {
      // Only the batching engine commits transactions.
      bench = openCartBench(undefined, steps === TRANSACTION_STEPS ? steps.engine : protocol.engine);
      parts = protocol.around(bench.parts);
      await bench.ready();
    });
    after(async () => {
      await bench.parts.backgroundTasks.finish(WAIT_MS);
      bench.close();
    });

    async function leave(how: (typeof LEFT)[number]): Promise<LeftCart> {
      const order_id = fresh('left');
      // The held SKU has only that unit, and the coordinator has the other SKU.
      const [shard, other] = IN_TRANSACTION.shards;
      const left: LeftCart = { order_id, sku_ids: [skuOn(shard, order_id), skuOn(other, order_id)] };
      await bench.open(left.sku_ids[0], 1);
      await bench.open(left.sku_ids[1], AMPLE);
      const [held, own] = keysOf(left).map((line) => [line]);
      const started = await steps.start(bench, order_id, held ?? [], own, { hasRecord: how !== 'no record' });
      for (const is of await started.hold()) expect(is).to.equal('held');
      if (how === 'committed' || how === 'aborted') expect(await started.decide(how)).to.equal(how);
      await age({ order_ids: [order_id], sku_ids: left.sku_ids });
      return left;
    }

    for (const { name, run, sold, undone } of FINDERS) {
      it(`are sold or free again when ${name} is answered`, async () => {
        for (const how of LEFT) {
          // A transaction without a decision has no record anyway.
          if (how === 'no record' && steps === TRANSACTION_STEPS) continue;
          const cart = await leave(how);
          const outcome = await run(parts, cart);
          expect(outcome, `left ${how}`).to.include(how === 'committed' ? sold : undone);
          // A cart that has just been sold is completed after its answer.
          await bench.parts.backgroundTasks.finish(WAIT_MS);
          const { flows } = await cartRows([cart.sku_ids[0]]);
          expect(
            [...flows.values()].map(({ status }) => status),
            `left ${how}`,
          ).to.not.include('pending');
        }
      });
    }
  });
}
