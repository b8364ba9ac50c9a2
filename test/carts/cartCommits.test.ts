import { expect } from 'chai';
import { cancelOrder } from '../../src/service/orders/cancelOrder.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { cartRows, endsOf, linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { ENGINES_NOW, openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { runAhead } from '../support/faults/runAhead.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { CUTS, startWireProxy } from '../support/wire/wireProxy.ts';
import type { Cut, WireProxy } from '../support/wire/wireProxy.ts';

/** The first shard has the record of every cart and one of its lines. */
const SHARDS = [5, 11] as const;
const OPENED = 3;
const REQUEST_MS = 10_000;
const STATEMENT_MS = 300;
const FREE_MS = 10_000;
/** COMMITs of one request on the first shard at most. TRIES is for a machine that is too busy. */
const COMMITS_MAX = 20;
const TRIES = 20;

interface Order {
  readonly order_id: string;
  readonly sku_ids: readonly string[];
}

/** A request that takes several transactions. */
interface Request {
  readonly name: string;
  /** The smallest number of its transactions on the first shard. */
  readonly commitsMin: number;
  prepare(order: Order): Promise<unknown>;
  send(by: CartBench, order: Order): Promise<string>;
  /** The final status of a line that it changed. */
  readonly end: string;
  /** The outcome when all of it was done. */
  readonly done: string;
  /** Whether each shard commits its part independently: the outcome of a partial effect is then `unknown`. */
  readonly inParts: boolean;
}

for (const engineName of ENGINES_NOW) {
  describe(`a request over several shards with one unanswered COMMIT, engine: ${engineName}`, () => {
    const benches: CartBench[] = [];
    const proxies: WireProxy[] = [];
    let uncut: CartBench;

    before(() => {
      benches.push((uncut = openCartBench(undefined, engineName)));
    });
    after(async () => {
      for (const bench of benches) {
        await bench.parts.backgroundTasks.finish(REQUEST_MS);
        bench.close();
      }
      for (const proxy of proxies) await proxy.close();
    });

    /** A separate gateway that reaches the first shard through the proxy. */
    const behindProxy = async (): Promise<{ proxy: WireProxy; cutOff: CartBench }> => {
      const [first] = SHARDS;
      const proxy = await startWireProxy(addressOf(first));
      proxies.push(proxy);
      const through = stack().shards.map((shard, index) =>
        index === first ? { ...shard, address: { ...shard.address, port: proxy.port } } : shard,
      );
      const cutOff = openCartBench(openShards({ ...stack(), shards: through }, STATEMENT_MS), engineName);
      benches.push(cutOff);
      return { proxy, cutOff };
    };

    const sell = async ({ parts }: CartBench, { order_id, sku_ids }: Order): Promise<string> =>
      (await deductOrder(parts, { order_id, lines: linesOf(sku_ids, order_id) }, performance.now() + REQUEST_MS))
        .outcome.is;
    const cancel = async ({ parts }: CartBench, { order_id, sku_ids }: Order): Promise<string> =>
      (await cancelOrder(parts, { order_id, lines: linesOf(sku_ids, order_id) }, performance.now() + REQUEST_MS)).is;
    const free = ({ sku_ids }: Order): Promise<void> => nothingHeld(sku_ids, FREE_MS);

    const REQUESTS: readonly Request[] = [
      {
        name: 'cart',
        commitsMin: 4,
        prepare: async () => undefined,
        send: sell,
        end: 'deducted',
        done: 'deducted',
        inParts: false,
      },
      {
        name: 'cancellation',
        commitsMin: 1,
        prepare: async (order) => {
          expect(await sell(uncut, order)).to.equal('deducted');
          await free(order);
        },
        send: cancel,
        end: 'cancelled',
        done: 'applied',
        inParts: true,
      },
    ];

    async function newOrder(): Promise<Order> {
      const name = fresh('cut');
      const sku_ids = SHARDS.map((shard) => skuOn(shard, name));
      for (const sku_id of sku_ids) await uncut.open(sku_id, OPENED);
      return { order_id: skuOn(SHARDS[0], `order-${name}`), sku_ids };
    }

    /** Cuts the connection at one COMMIT of a request. @returns its outcome, and whether it reached that COMMIT */
    async function interrupt(
      { proxy, cutOff }: Awaited<ReturnType<typeof behindProxy>>,
      request: Request,
      order: Order,
      cut: Cut,
      number: number,
    ): Promise<{ outcome: string; isCut: boolean }> {
      const cutsBefore = proxy.cutsDone;
      let seen = 0;
      const stop = proxy.cutWhenever(cut, () => (seen += 1) === number);
      const outcome = await request.send(cutOff, order);
      // The last COMMIT of a cart is that of its completion, after the answer.
      await free(order);
      stop();
      return { outcome, isCut: proxy.cutsDone > cutsBefore };
    }

    async function expectOutcome(
      request: Request,
      order: Order,
      { outcome }: { outcome: string },
      where: string,
    ): Promise<void> {
      const rows = await cartRows(order.sku_ids);
      const ends = endsOf(rows, linesOf(order.sku_ids, order.order_id));
      const reached = ends.filter((end) => end === request.end).length;
      const context = `${where}: answered ${outcome}, then ${ends.join(' and ')}`;
      if (outcome === request.done) expect(reached, context).to.equal(ends.length);
      else if (outcome === 'not_done') expect(reached, context).to.equal(0);
      else expect([outcome, reached, request.inParts], context).to.deep.equal(['unknown', 1, true]);
      const taken = ends.map((end) => (end === 'deducted' ? OPENED - 1 : OPENED));
      expect(
        order.sku_ids.map((sku_id) => rows.stock.get(sku_id)),
        context,
      ).to.deep.equal(taken.map((leaved) => ({ leaved, held: 0 })));
    }

    const cases = REQUESTS.flatMap((request) => CUTS.map((cut) => ({ request, cut })));
    const play = runAhead(cases, CUTS.length, async ({ request, cut }) => {
      const behind = await behindProxy();
      let commits = 0;
      for (let tries = 0; commits < COMMITS_MAX;) {
        const order = await newOrder();
        await request.prepare(order);
        const interrupted = await interrupt(behind, request, order, cut, commits + 1);
        await expectOutcome(request, order, interrupted, `${cut} COMMIT ${commits + 1}`);
        // Rejected before it reached that COMMIT, on a machine that is too busy.
        if (!interrupted.isCut && interrupted.outcome !== request.done && (tries += 1) < TRIES) continue;
        if (!interrupted.isCut) break;
        commits += 1;
        expect(await request.send(behind.cutOff, order), 'the same again').to.equal(request.done);
        await free(order);
        await expectOutcome(request, order, { outcome: request.done }, 'the same again');
      }
      expect(commits, 'COMMITs').to.be.at.least(request.commitsMin);
    });

    for (const one of cases)
      it(`gets an outcome that matches the rows: ${one.request.name}, cut ${one.cut} each of its COMMITs`, () =>
        play(one));
  });
}
