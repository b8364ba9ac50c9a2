import { expect } from 'chai';
import type { CartRecords } from '../../src/core/ports/cartRecords.ts';
import type { OrderRecords } from '../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { SingleFlight } from '../../src/service/tasks/singleFlight.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import { cartRows, linesOf } from '../support/carts/cartRows.ts';
import { ALL_STEPS, YOUNG } from '../support/carts/orderSteps.ts';
import type { StartedOrder } from '../support/carts/orderSteps.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { skuOn } from '../support/engines/traffic.ts';

const BUYERS = 64;
const UNITS = 8;
const WAIT_MS = 30_000;

/** Work that the test ends by hand, with a result of its choice. */
function manualWork() {
  const begun: { readonly end: (answer: string) => void; readonly fail: (error: Error) => void }[] = [];
  const work = (): Promise<string> => new Promise((end, fail) => begun.push({ end, fail }));
  const sharing = new SingleFlight<string>((answer) => answer === 'final');
  const ask = (key = 'a', waitMs = WAIT_MS): Promise<string | null> =>
    sharing.run(key, performance.now() + waitMs, work);
  return { begun, ask };
}

describe('work that concurrent callers share', () => {
  it('is done once more for all callers that came while it ran, because it may predate their state', async () => {
    const { begun, ask } = manualWork();
    const first = ask();
    const [second, third] = [ask(), ask()];
    begun[0]?.end('open');
    expect(await first).to.equal('open');
    await eventually('it is done again', WAIT_MS, () => begun.length === 2);
    const fourth = ask();
    begun[1]?.end('gone');
    expect(await Promise.all([second, third])).to.deep.equal(['gone', 'gone']);
    await eventually('and again', WAIT_MS, () => begun.length === 3);
    begun[2]?.end('last');
    expect(await fourth).to.equal('last');
  });

  it('is not done again when the answer is final, and is not shared between keys', async () => {
    const { begun, ask } = manualWork();
    const answers = [ask(), ask(), ask(), ask('b')];
    expect(begun).to.have.length(2);
    begun[0]?.end('final');
    begun[1]?.end('other');
    expect(await Promise.all(answers)).to.deep.equal(['final', 'final', 'final', 'other']);
    expect(begun).to.have.length(2);
  });

  it('fails only for the callers that shared it, and delays no caller past its deadline', async () => {
    const { begun, ask } = manualWork();
    const failing = ask().then(String, ({ message }: Error) => message);
    const [patient, hurried] = [ask(), ask('a', 20)];
    expect(await hurried).to.equal(null);
    begun[0]?.fail(new Error('broken'));
    expect(await failing).to.equal('broken');
    await eventually('it is done again', WAIT_MS, () => begun.length === 2);
    begun[1]?.end('open');
    expect(await patient).to.equal('open');
  });

  for (const steps of ALL_STEPS) {
    it(`is, for ${steps.name} that blocks many buyers, one read of the record and one completion`, async () => {
      const bench = openCartBench(undefined, 'batching');
      await bench.ready();
      const sku_id = skuOn(3, fresh('wanted'));
      await bench.open(sku_id, UNITS);
      const carts: StartedOrder[] = [];
      for (let count = 0; count < UNITS; count += 1) {
        const order_id = fresh('holder');
        const own = skuOn(10, order_id);
        await bench.open(own, 1);
        const [held, ofCoordinator] = [linesOf([sku_id], order_id), linesOf([own], order_id)];
        // Not old: nothing aborts it before the test decides.
        const started = await steps.start(bench, order_id, held, ofCoordinator, YOUNG);
        for (const is of await started.hold()) expect(is).to.equal('held');
        carts.push(started);
      }
      const now = new Map<string, number>();
      let most = 0;
      let judged = 0;
      const alone = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
        now.set(name, (now.get(name) ?? 0) + 1);
        most = Math.max(most, now.get(name) ?? 0);
        return work().finally(() => now.set(name, (now.get(name) ?? 0) - 1));
      };
      const counted: CartRecords = {
        begin: (...given) => bench.carts.begin(...given),
        decide: (...given) => bench.carts.decide(...given),
        findUnfinished: (...given) => bench.carts.findUnfinished(...given),
        resolve: (shard, cart, deadlineMs) => (
          (judged += 1),
          alone(`judge ${cart.order_id}`, () => bench.carts.resolve(shard, cart, deadlineMs))
        ),
      };
      const { records } = bench.parts;
      const countedRecords: OrderRecords = {
        begin: (shard) => records.begin(shard),
        areUsable: (shards) => records.areUsable(shards),
        deleteAborted: (...given) => records.deleteAborted(...given),
        resolve: (transaction, order_id, deadlineMs) => (
          (judged += 1),
          alone(`judge ${order_id}`, () => records.resolve(transaction, order_id, deadlineMs))
        ),
      };
      const engine: StockEngine = {
        apply: (shard, operations, deadlineMs) => {
          const apply = () => bench.parts.engine.apply(shard, operations, deadlineMs);
          const [operation] = operations;
          return operation?.kind === 'settle' ? alone(`settle ${operation.order_id}`, apply) : apply();
        },
        groupOf: (shard) => bench.parts.engine.groupOf(shard),
        applyJointly: (...given) => bench.parts.engine.applyJointly(...given),
      };
      const parts: ServicePorts = { ...bench.parts, carts: counted, records: countedRecords, engine };
      const buyers = Array.from({ length: BUYERS }, async () => {
        const order_id = fresh('buyer');
        return (await deductOrder(parts, { order_id, lines: linesOf([sku_id], order_id) }, performance.now() + WAIT_MS))
          .outcome;
      });
      await eventually('the buyers have read the carts', WAIT_MS, () => judged >= 2 * UNITS);
      const decided = await Promise.all(carts.map((cart, place) => cart.decide(place === 0 ? 'committed' : 'aborted')));
      const sold = decided.filter((state) => state === 'committed').length;
      const words = (await Promise.all(buyers)).map((outcome) =>
        outcome.is === 'refused' ? outcome.code : outcome.is,
      );
      expect(words.filter((word) => word === 'deducted')).to.have.length(UNITS - sold);
      expect(words.filter((word) => word === 'insufficient_stock')).to.have.length(BUYERS - UNITS + sold);
      expect(most, 'concurrent calls of one kind for one cart').to.equal(1);
      expect((await cartRows([sku_id])).stock.get(sku_id)).to.deep.equal({ leaved: 0, held: 0 });
      bench.close();
    });
  }
});
