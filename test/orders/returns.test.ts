import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCartBench } from '../support/carts/cartBench.ts';
import { wordOf } from '../support/carts/cartCustomers.ts';
import { linesOf, nothingHeld } from '../support/carts/cartRows.ts';
import { openReturnDesk } from '../support/carts/cartReturns.ts';
import type { ReturnDesk } from '../support/carts/cartReturns.ts';
import { ALL_STEPS, YOUNG } from '../support/carts/orderSteps.ts';
import { PROTOCOLS } from '../support/carts/protocols.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const CLIENTS = 100;
const RACES = LONG ? 200 : 20;
const ROUNDS_AFTER_SALE = 50;

for (const protocol of PROTOCOLS) {
  describe(`returns and cancellations, each cart sold by ${protocol.name}`, () => {
    const [one, two, three] = protocol.shards;
    let desk: ReturnDesk;
    let order_id: string;
    before(async () => {
      desk = await openReturnDesk(protocol);
    });
    after(() => desk.stop());
    beforeEach(() => {
      order_id = fresh('order');
    });

    it('gives back no more than was taken, each id once, to a hundred concurrent callers', async () => {
      const [sku_id] = await desk.open(150, one, two);
      expect((await desk.sell(order_id, [sku_id], 120)).status).to.equal(201);
      // A hundred ids for one to three units, 199 in all, each sent twice; and one id that all of them send.
      const wanted = Array.from({ length: CLIENTS }, (_, index) => ({
        return_id: `r-${index}`,
        quantity: 1 + (index % 3),
      }));
      const sent = [...wanted, ...wanted.toReversed(), ...wanted.map(() => ({ return_id: 'shared', quantity: 1 }))];
      const answers = await Promise.all(
        sent.map(async ({ return_id, quantity }) => {
          const ask = () => desk.giveBack({ sku_id, order_detail_id: order_id }, return_id, quantity);
          let answer = await ask();
          for (let time = 0; answer.status === 503 && time < 20; time += 1) answer = await ask();
          return { return_id, quantity, answer };
        }),
      );
      const first = answers.filter(({ answer }) => answer.status === 201);
      expect(new Set(first.map(({ return_id }) => return_id)).size, 'ids with one 201').to.equal(first.length);
      const accepted = new Map(
        answers.filter(({ answer }) => answer.status < 300).map(({ return_id, quantity }) => [return_id, quantity]),
      );
      const units = [...accepted.values()].reduce((sum, quantity) => sum + quantity, 0);
      for (const { answer } of answers) expect(wordOf(answer)).to.be.oneOf(['201', '200', 'over_return']);
      expect(units, 'units reported as returned').to.equal(120);
      expect(await desk.look(order_id, [sku_id])).to.deep.equal(['deducted 120']);
      expect(await desk.left([sku_id])).to.deep.equal([150]);
      for (const { return_id, quantity } of answers) {
        const again = wordOf(await desk.giveBack({ sku_id, order_detail_id: order_id }, return_id, quantity));
        expect(again, return_id).to.equal(accepted.has(return_id) ? '200' : 'over_return');
      }
    });

    it('accepts a return right after the answer of a cart, before its holds are completed', async () => {
      for (let round = 0; round < ROUNDS_AFTER_SALE; round += 1) {
        const sku_ids = await desk.open(3, one, two);
        const order = fresh('order');
        expect((await desk.sell(order, sku_ids, 2)).status).to.equal(201);
        const answers = await Promise.all(
          sku_ids.map((sku_id) => desk.giveBack({ sku_id, order_detail_id: order }, 'r', 1)),
        );
        expect(answers.map(wordOf), `round ${round}`).to.deep.equal(['201', '201']);
        expect(await desk.left(sku_ids)).to.deep.equal([2, 2]);
      }
    });

    it('gives back the rest when an order is cancelled after a return, and nothing after that', async () => {
      const sku_ids = await desk.open(9, one, two);
      const key = { sku_id: sku_ids[0], order_detail_id: order_id };
      await desk.sell(order_id, sku_ids, 5);
      expect((await desk.giveBack(key, 'r1', 2)).status).to.equal(201);
      expect((await desk.cancel(order_id, sku_ids)).body.replayed).to.equal(false);
      expect(await desk.left(sku_ids)).to.deep.equal([9, 9]);
      const more = await desk.giveBack(key, 'r2', 1);
      expect([more.body.code, more.body.returnable]).to.deep.equal(['over_return', 0]);
      expect((await desk.giveBack(key, 'r1', 2)).status, 'the return again').to.equal(200);
      expect((await desk.cancel(order_id, sku_ids)).body.replayed).to.equal(true);
      expect(await desk.look(order_id, sku_ids)).to.deep.equal(['cancelled 5', 'cancelled 5']);
      expect(await desk.left(sku_ids)).to.deep.equal([9, 9]);
    });

    it('refuses a line or a cart that arrives after its cancellation', async () => {
      const sku_ids = await desk.open(9, one, two);
      expect((await desk.cancel(order_id, sku_ids.slice(1))).status).to.equal(200);
      expect((await desk.sell(order_id, sku_ids, 5)).body.code, 'a cart, cancelled in part').to.equal('cancelled');
      expect((await desk.sell(order_id, sku_ids.slice(1), 1)).body.code, 'a line').to.equal('cancelled');
      expect((await desk.giveBack({ sku_id: sku_ids[1], order_detail_id: order_id }, 'r', 1)).body.code).to.equal(
        'unknown_deduction',
      );
      expect((await desk.sell(order_id, sku_ids.slice(0, 1), 5)).status, 'the line that was not cancelled').to.equal(
        201,
      );
      await nothingHeld(sku_ids, 15_000);
      expect(await desk.left(sku_ids)).to.deep.equal([4, 9]);
    });

    for (const steps of ALL_STEPS) {
      it(`answers "pending" for an open cart, and is final after its commit decision: ${steps.name}`, async () => {
        const sku_ids = await desk.open(9, one, three);
        const own = await desk.open(9, two);
        const bench = openCartBench(undefined, steps.engine);
        const lines = linesOf(sku_ids, order_id);
        const started = await steps.start(bench, order_id, lines, linesOf(own.slice(0, 1), order_id), YOUNG);
        for (const is of await started.hold()) expect(is).to.equal('held');
        const [cancelled, returned, looked] = await Promise.all([
          desk.cancel(order_id, sku_ids),
          desk.giveBack({ sku_id: sku_ids[0], order_detail_id: order_id }, 'r', 1),
          desk.look(order_id, sku_ids),
        ]);
        expect([cancelled.status, cancelled.body.code]).to.deep.equal([409, 'pending']);
        expect([returned.status, returned.body.code]).to.deep.equal([409, 'pending']);
        expect(looked).to.deep.equal(['pending 0', 'pending 0']);
        expect(await started.decide('committed')).to.equal('committed');
        bench.close();
        expect((await desk.cancel(order_id, sku_ids)).status).to.equal(200);
        expect(await desk.look(order_id, sku_ids)).to.deep.equal(['cancelled 1', 'cancelled 1']);
        expect(await desk.left(sku_ids)).to.deep.equal([9, 9]);
      });
    }

    for (const first of ['cancel', 'sell'] as const) {
      for (const shards of [[one], [one, two]]) {
        const what = shards.length === 1 ? 'line' : 'cart';
        it(`cancels when two cancellations race a ${what}, ${first} first`, async () => {
          for (let race = 0; race < RACES; race += 1)
            await raceCancellations(fresh('race'), shards, first, (race % 4) * 3);
        });
      }
    }

    it('gives back each unit once when returns race a cancellation', async () => {
      for (let race = 0; race < RACES; race += 1) {
        const sku_ids = await desk.open(10, one, two);
        const order = fresh('race');
        await desk.sell(order, sku_ids, 6);
        const key = { sku_id: sku_ids[0], order_detail_id: order };
        const returns = ['r1', 'r2', 'r3'].map((return_id) => desk.giveBack(key, return_id, 1));
        const [cancelled, ...answers] = await Promise.all([desk.cancel(order, sku_ids), ...returns]);
        expect(wordOf(cancelled)).to.equal('200');
        for (const answer of answers) expect(wordOf(answer)).to.be.oneOf(['201', 'over_return']);
        expect(await desk.look(order, sku_ids)).to.deep.equal(['cancelled 6', 'cancelled 6']);
        expect(await desk.left(sku_ids)).to.deep.equal([10, 10]);
      }
    });

    /** Races two cancellations with the sale of one order. In the end the order is cancelled and every unit is left. */
    async function raceCancellations(
      order: string,
      shards: readonly number[],
      first: 'cancel' | 'sell',
      apartMs: number,
    ): Promise<void> {
      const sku_ids = (await desk.open(5, ...shards)).slice(0, shards.length);
      const cancel = () => desk.cancel(order, sku_ids);
      const sell = () => desk.sell(order, sku_ids, 2);
      const begun = first === 'cancel' ? [cancel(), sell(), cancel()] : [sell()];
      await sleep(apartMs);
      if (first === 'sell') begun.push(cancel(), cancel());
      const words = (await Promise.all(begun)).map(wordOf);
      for (const word of words)
        expect(word, words.join()).to.be.oneOf(['200', '201', 'cancelled', 'pending', 'outcome_unknown', 'overloaded']);
      await eventually('it is cancelled', 20_000, async () => (await cancel()).status === 200);
      expect(wordOf(await sell()), words.join()).to.equal('cancelled');
      await nothingHeld(sku_ids, 15_000);
      expect(await desk.left(sku_ids), words.join()).to.deep.equal(sku_ids.map(() => 5));
      const states = (await desk.look(order, sku_ids)).map((state) => state.split(' ')[0]);
      expect(states).to.deep.equal(sku_ids.map(() => 'cancelled'));
    }
  });
}
