import { inParallel } from '../../scripts/support/inParallel.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { expect } from 'chai';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import {
  crashPoints,
  expectOneEnd,
  FROZEN_MS,
  openCrashedCart,
  OVER_MS,
  sellToRival,
  strikeProcess,
} from '../support/carts/cartCrash.ts';
import { linesOf } from '../support/carts/cartRows.ts';
import { PROTOCOLS } from '../support/carts/protocols.ts';
import { armedText, failPoints } from '../support/faults/failPoints.ts';
import type { Armed } from '../support/faults/failPoints.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { eventually } from '../support/run/eventually.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** After the first, a coordinator has no time left when it wakes; after the second, it finds the decision. */
const REQUEST_MS = [3_000, 20_000];
/** For a busy machine. */
const TEST_MS = 600_000;

for (const protocol of PROTOCOLS) {
  describe(`an unfinished cart beside another gateway, sold by ${protocol.name}`, () => {
    const folder = temporaryFolder();
    let bench: CartBench;
    let healthy: TestGateway;
    before(async () => {
      bench = openCartBench(undefined, 'batching');
      healthy = await startTestGateway();
      await bench.ready();
    });
    after(async () => {
      bench.close();
      await healthy.stop();
      folder.remove();
    });

    it('is completed or undone while its coordinator sleeps at any step, and stays so when it wakes', async () => {
      const faults: string[] = [];
      const cases = crashPoints(protocol).flatMap((at) => REQUEST_MS.map((requestMs) => ({ at, requestMs })));
      await inParallel(cases, cases.length, async ({ at, requestMs }) => {
        await sleepAt(at, requestMs).catch((error: unknown) =>
          faults.push(`${at.point} ${at.pass} of ${requestMs} ms: ${String(error)}`),
        );
      });
      expect(faults).to.deep.equal([]);
    }).timeout(TEST_MS);

    // The quick form starts no processes, because that takes too long.
    for (const fault of LONG ? (['kill', 'stall'] as const) : []) {
      const event = fault === 'kill' ? 'killed' : 'frozen for a while';
      it(`is completed or undone when the process of its coordinator is ${event}`, async () => {
        const faults: string[] = [];
        await inParallel(crashPoints(protocol), fault === 'kill' ? 3 : 4, async (at) => {
          await strikeProcess(healthy, protocol, folder, fault, at).catch((error: unknown) =>
            faults.push(`${armedText({ ...at, fault })}: ${String(error)}`),
          );
        });
        expect(faults).to.deep.equal([]);
      }).timeout(TEST_MS);
    }

    /** Stalls a coordinator in this process at one step, for longer than others must wait before they may decide. */
    async function sleepAt(at: Pick<Armed, 'point' | 'pass'>, requestMs: number): Promise<void> {
      const cart = await openCrashedCart(healthy, protocol);
      let fired = false;
      const points = failPoints({ ...at, fault: 'stall' }, FROZEN_MS, (_, fires) => (fired ||= fires));
      const around = protocol.around(bench.parts);
      const { engine, carts, records } = around;
      const parts = { ...around, ...points.decorate({ engine, carts, records }) };
      points.begin();
      const lines = linesOf(cart.sku_ids, cart.order_id);
      const sell = () => deductOrder(parts, { order_id: cart.order_id, lines }, performance.now() + requestMs);
      // On a busy machine an order may be rejected before it reaches the point; a completion comes after the answer.
      let sold = sell();
      let isOver = false;
      const watch = (): void => void sold.then(({ outcome }) => (isOver = outcome.is !== 'deducted'));
      watch();
      await eventually(`${at.point} is passed`, OVER_MS, () => {
        if (!fired && isOver) {
          isOver = false;
          sold = sell();
          watch();
        }
        return fired;
      });
      const rival = await sellToRival(healthy, cart);
      const { outcome } = await sold;
      const answer = {
        deducted: '201',
        unknown: 'outcome_unknown',
        refused: 'insufficient_stock',
        not_done: 'overloaded',
      }[outcome.is];
      await expectOneEnd(cart, answer, rival);
    }
  });
}
