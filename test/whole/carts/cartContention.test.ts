import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { SlotMap } from '../../../src/core/slots.ts';
import type { Line } from '../../../src/core/types.ts';
import { openCartBench } from '../../support/carts/cartBench.ts';
import { expectWhole, FREE_MS, sendCart, wordOf } from '../../support/carts/cartCustomers.ts';
import type { SentOrder } from '../../support/carts/cartCustomers.ts';
import { cartRows, decisionsOf, linesOf, nothingHeld } from '../../support/carts/cartRows.ts';
import { ALL_STEPS, YOUNG } from '../../support/carts/orderSteps.ts';
import { PROTOCOLS, startProtocolGateway } from '../../support/carts/protocols.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { sideSession } from '../../support/rows/sideSession.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const slots = new SlotMap(16);
const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const TRAFFIC_MS = LONG ? 60_000 : 5_000;
const CLIENTS = 64;
const SAME_ORDER_CLIENTS = 20;
const AMPLE = 1_000_000;
/** Less than a gateway waits for a shard, so that the shard counts as slow and not as dead. */
const SLOW_MS = 600;

for (const protocol of PROTOCOLS) {
  describe(`carts that compete, each sold by ${protocol.name}`, () => {
    let gateways: readonly [TestGateway, TestGateway];
    before(async () => {
      gateways = [await startProtocolGateway(protocol), await startProtocolGateway(protocol)];
    });
    after(() => Promise.all(gateways.map((gateway) => gateway.stop())));

    const newSkus = (count: number): string[] => {
      const name = fresh('meet');
      return protocol.shards.slice(0, count).map((shard) => skuOn(shard, name));
    };
    const openAll = async (sku_ids: readonly string[], units: readonly number[]): Promise<Map<string, number>> => {
      for (const [place, sku_id] of sku_ids.entries()) await gateways[0].openSku(sku_id, units[place] ?? AMPLE);
      return new Map(sku_ids.map((sku_id, place) => [sku_id, units[place] ?? AMPLE]));
    };
    const sessions: Awaited<ReturnType<typeof sideSession>>[] = [];
    afterEach(() => {
      for (const session of sessions.splice(0)) session.destroy();
    });
    const begin = async (sql: string, sku_id: string) => {
      const session = await sideSession(slots.shardOf(sku_id));
      sessions.push(session);
      await session.query('BEGIN');
      await session.query(sql, [Buffer.from(sku_id)]);
      return session;
    };
    const untilHeld = async (sku_id: string): Promise<void> => {
      if (!protocol.holds) return;
      await eventually('the unit is held', FREE_MS, async () => (await cartRows([sku_id])).holds === 1);
    };
    /** Locks the stock row of a SKU. @returns a function that unlocks it */
    const lockStock = async (sku_id: string): Promise<() => void> => {
      const session = await begin('SELECT 1 FROM stock WHERE sku_id = ? FOR UPDATE', sku_id);
      return () => session.destroy();
    };
    /** Locks the stock row and empties it. Other reads find units until the returned function commits the empty row. */
    const emptyStock = async (sku_id: string): Promise<() => Promise<void>> => {
      const session = await begin('UPDATE stock SET opening_amount = 0, leaved_amount = 0 WHERE sku_id = ?', sku_id);
      return async () => void (await session.query('COMMIT'));
    };

    it('make progress while customers name the same SKUs in opposite order', async () => {
      const sku_ids = newSkus(4);
      const scarce = sku_ids[2] ?? '';
      const opened = await openAll(sku_ids, [AMPLE, AMPLE, LONG ? 2_000 : 150, AMPLE]);
      const sent: SentOrder[] = [];
      const untilMs = performance.now() + TRAFFIC_MS;
      const shop = async (client: number): Promise<void> => {
        for (let round = 0; performance.now() < untilMs; round += 1) {
          const chosen =
            round % 3 === 0 ? sku_ids : sku_ids.filter((_, place) => place !== (client + round) % sku_ids.length);
          const order_id = fresh('opposite');
          const lines = linesOf(client % 2 === 0 ? chosen : chosen.toReversed(), order_id, 1 + (round % 2));
          sent.push(await sendCart(gateways[client % 2] ?? gateways[0], order_id, lines));
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, (_, client) => shop(client)));
      const words = sent.map(({ answer }) => wordOf(answer));
      expect(
        [...new Set(words)].filter((word) => !['201', 'insufficient_stock', 'overloaded'].includes(word)),
        'other answers',
      ).to.deep.equal([]);
      await expectWhole(sent, opened);
      expect(words, 'something is sold').to.include('201');
      // No order was refused as sold out while its units were left: the remaining units can be bought.
      const rest = (await cartRows([scarce])).stock.get(scarce)?.leaved ?? 0;
      if (rest > 0)
        expect(
          (await gateways[0].deduct({ sku_id: scarce, order_detail_id: fresh('rest'), quantity: rest })).status,
        ).to.equal(201);
    });

    // For a transaction: one line, a cart over both servers, and a cart on the server of the unit.
    for (const kind of ['line', 'cart', 'cart beside it'] as const) {
      it(`let a single ${kind} have the last unit while a cart that will fail asks for it`, async () => {
        const [wanted = '', missing = '', beside = '', apart = ''] = newSkus(4);
        const other = kind === 'cart' ? apart : beside;
        await openAll([wanted, missing, other], [1, 1, 5]);
        const unlock = await emptyStock(missing);
        const doomed = sendCart(gateways[0], fresh('doomed'), linesOf([wanted, missing], fresh('doomed')));
        await untilHeld(wanted);
        const order_id = fresh('last');
        const buyer = sendCart(gateways[1], order_id, linesOf(kind === 'line' ? [wanted] : [other, wanted], order_id));
        await sleep(SLOW_MS / 2);
        await unlock();
        expect(wordOf((await doomed).answer)).to.equal('insufficient_stock');
        expect(wordOf((await buyer).answer)).to.equal('201');
        await nothingHeld([wanted, missing, other], FREE_MS);
        expect((await cartRows([wanted])).stock.get(wanted)?.leaved).to.equal(0);
      });
    }

    const itIfHeld = protocol.holds ? it : () => undefined;

    itIfHeld('cause waiting orders to be refused as soon as a cart has sold the last unit', async () => {
      const [wanted = '', slow = ''] = newSkus(2);
      await openAll([wanted, slow], [1, 1]);
      const unlock = await lockStock(slow);
      const first = sendCart(gateways[0], fresh('first'), linesOf([wanted, slow], fresh('first')));
      await untilHeld(wanted);
      const buyers = gateways.map((gateway) =>
        gateway.deduct({ sku_id: wanted, order_detail_id: fresh('late'), quantity: 1 }),
      );
      await sleep(SLOW_MS / 2);
      unlock();
      expect(wordOf((await first).answer)).to.equal('201');
      for (const buyer of await Promise.all(buyers)) expect(buyer.body.code).to.equal('insufficient_stock');
    });

    for (const steps of ALL_STEPS) {
      it(`cause overloaded, not a refusal, while ${steps.name} is undecided; later its unit is sold`, async () => {
        const [wanted = '', unused = ''] = newSkus(2);
        const opened = await openAll([wanted, unused], [1, 1]);
        const abandoned = fresh('abandoned');
        const bench = openCartBench();
        const lines = linesOf([wanted], abandoned);
        const started = await steps.start(bench, abandoned, lines, [], YOUNG);
        expect(await started.hold()).to.deep.equal(['held']);
        bench.close();
        const [line, cart] = [fresh('line'), fresh('cart')];
        const early = await Promise.all([
          sendCart(gateways[0], line, linesOf([wanted], line)),
          sendCart(gateways[1], cart, linesOf([wanted, unused], cart)),
        ]);
        expect(early.map(({ answer }) => wordOf(answer))).to.deep.equal(['overloaded', 'overloaded']);
        let sent = await sendCart(gateways[0], line, linesOf([wanted], line));
        await eventually('the unit is sold', 2 * FREE_MS, async () => {
          if (wordOf(sent.answer) === 'overloaded') sent = await sendCart(gateways[0], line, linesOf([wanted], line));
          return wordOf(sent.answer) !== 'overloaded';
        });
        expect(wordOf(sent.answer)).to.equal('201');
        await expectWhole([sent], opened);
        expect(await decisionsOf(abandoned, [abandoned])).to.deep.equal(['aborted']);
      });
    }

    it('have one effect when many clients send the same order at once', async () => {
      for (let round = 0; round < (LONG ? 50 : 5); round += 1) {
        const sku_ids = newSkus(3);
        const opened = await openAll(sku_ids, [5, 5, 5]);
        const order_id = fresh('same');
        const lines = linesOf(sku_ids, order_id, 2);
        const sent = await Promise.all(
          Array.from({ length: SAME_ORDER_CLIENTS }, (_, client) =>
            sendCart(gateways[client % 2] ?? gateways[0], order_id, lines),
          ),
        );
        const words = sent.map(({ answer }) => wordOf(answer));
        expect(words, 'one request sold the order').to.include('201');
        for (const word of words) expect(word).to.be.oneOf(['201', '200', 'overloaded']);
        await expectWhole(
          sent.slice(0, 1).map((one) => ({ ...one, answer: { ...one.answer, status: 201 } })),
          opened,
        );
        const decisions = await decisionsOf(order_id, sku_ids);
        expect(decisions.filter((state) => state === 'committed')).to.have.length(1);
      }
    });

    it('accept ids of a refused cart after a restock, with other quantities, through another gateway', async () => {
      const sku_ids = newSkus(2);
      const second = sku_ids[1] ?? '';
      const opened = await openAll(sku_ids, [9, 0]);
      const refused = fresh('refused');
      const lines = (quantity: number): Line[] => linesOf(sku_ids, refused, quantity);
      for (let time = 0; time < 3; time += 1) {
        const { answer } = await sendCart(gateways[time % 2] ?? gateways[0], refused, lines(2));
        expect([answer.status, answer.body.lines?.[0]?.leaved_amount]).to.deep.equal([409, 0]);
      }
      await gateways[0].adminPost(`/v1/skus/${encodeURIComponent(second)}/adjustments`, {
        adjustment_id: 'restock',
        delta: 9,
      });
      const sent = await sendCart(gateways[1], refused, lines(3));
      expect(wordOf(sent.answer)).to.equal('201');
      expect(wordOf((await sendCart(gateways[0], refused, lines(2))).answer)).to.equal('idempotency_conflict');
      await expectWhole([sent], new Map([...opened, [second, 9]]));
      const another = fresh('another');
      const foreign = await gateways[0].post('/v1/deductions', { order_id: another, lines: lines(3) });
      expect(foreign.body.code).to.equal('idempotency_conflict');
    });

    itIfHeld(
      'free their held units within five seconds of a refusal, also when the first attempt to undo fails',
      async () => {
        const [held = '', missing = ''] = newSkus(2);
        await openAll([held, missing], [3, 1]);
        const unlockMissing = await emptyStock(missing);
        const doomed = sendCart(gateways[0], fresh('refused'), linesOf([held, missing], fresh('refused')));
        await untilHeld(held);
        const unlockHeld = await lockStock(held);
        await unlockMissing();
        const { answer } = await doomed;
        expect(wordOf(answer)).to.equal('insufficient_stock');
        unlockHeld();
        await nothingHeld([held, missing], FREE_MS);
        expect((await cartRows([held])).stock.get(held)).to.deep.equal({ leaved: 3, held: 0 });
      },
    );
  });
}
