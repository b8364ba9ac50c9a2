import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { inParallel } from '../../scripts/support/inParallel.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { flowKeyText } from '../../src/core/types.ts';
import type { FlowKey } from '../../src/core/types.ts';
import { createLog } from '../../src/log.ts';
import { pairOf } from '../support/carts/cancellations.ts';
import type { LineState, Pair } from '../support/carts/cancellations.ts';
import { withOldProtocol } from '../support/carts/oldProtocol.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { beforeCalls } from '../support/faults/portCalls.ts';
import type { BeforeCall } from '../support/faults/portCalls.ts';
import { stack } from '../support/run/setup.ts';
import { skuOn, skusOnOneShard } from '../support/engines/traffic.ts';

const RACES = process.env['STOCKGATE_TEST_LONG'] === '1' ? 2_000 : 200;
const RACES_AT_A_TIME = 8;
/** The sale is sent up to this much later than the cancellation, so that each of them is first in some races. */
const SALE_MS_MAX = 60;
const SHARDS = [4, 11] as const;

/** Where the two lines of an order are. */
const PLACES = [
  { where: 'two servers', shards: SHARDS },
  { where: 'one server', shards: [4, 6] },
] as const;

/** All requests and all rows go over HTTP, so that the promises are independent of the protocol of carts. */
describe('answers to cancellations', () => {
  let gateways: TestGateway[];
  let shop: TestGateway;
  /** Sells carts with attempts. */
  let older: TestGateway;
  /** Called before each call of a port of the first gateway, or of the older one. */
  let beforeCall: BeforeCall = () => undefined;

  before(async () => {
    const [first, ...others] = await Promise.all([
      startTestGateway({}, stack(), createLog('silent'), (ports) =>
        beforeCalls(ports, (...call) => beforeCall(...call)),
      ),
      startTestGateway(),
      startTestGateway(),
    ]);
    gateways = [first, ...others];
    shop = first;
    older = await startTestGateway({}, stack(), createLog('silent'), (ports) =>
      beforeCalls(withOldProtocol(ports), (...call) => beforeCall(...call)),
    );
  });
  afterEach(() => {
    beforeCall = () => undefined;
  });
  after(() => Promise.all([...gateways, older].map((gateway) => gateway.stop())));

  const newPair = async (
    name: string,
    sku_ids: readonly string[] = SHARDS.map((shard) => skuOn(shard, fresh(name))),
  ): Promise<Pair> => {
    const [a = '', b = ''] = sku_ids;
    for (const sku_id of [a, b]) await shop.openSku(sku_id, 10);
    return pairOf(a, b, fresh(name));
  };
  const sell = (gateway: TestGateway, order_id: string, key: FlowKey): Promise<Answer> =>
    gateway.post('/v1/deductions', { order_id, lines: [{ ...key, quantity: 1 }] });
  const cancel = (gateway: TestGateway, order_id: string, lines: readonly FlowKey[]): Promise<Answer> =>
    gateway.post('/v1/cancellations', { order_id, lines });
  const expectStatus = (answer: Answer, status: number): Answer => {
    expect(answer.status, answer.text).to.equal(status);
    return answer;
  };
  const linesOf = ({ body }: Answer): LineState[] => body.lines as LineState[];
  const rowsOf = async (lines: readonly FlowKey[]): Promise<LineState[]> =>
    linesOf(expectStatus(await shop.post('/v1/deductions/lookup', { lines }), 200));
  const journalsOf = ({ a, b }: Pair): Promise<string[]> =>
    Promise.all(
      [a, b].map(
        async ({ sku_id }) =>
          (await shop.get(`/v1/skus/${sku_id}/flows`)).text + (await shop.get(`/v1/skus/${sku_id}`)).text,
      ),
    );
  const refusedBy = (line: FlowKey, state: Partial<LineState>): LineState => ({ ...line, ...state }) as LineState;

  for (const { where, shards } of PLACES)
    it(`list the state of every line if one is of another order, also if some are cancelled: ${where}`, async () => {
      const pair = await newPair(
        'half',
        shards.map((shard) => skuOn(shard, fresh('half'))),
      );
      const { a, b, x, y } = pair;
      expectStatus(await sell(shop, x, a), 201);
      expectStatus(await cancel(shop, x, [a]), 200);
      expectStatus(await sell(shop, y, b), 201);
      const before = await journalsOf(pair);
      for (const gateway of gateways) {
        const { body } = expectStatus(await cancel(gateway, x, [a, b]), 409);
        expect(body.code).to.equal('idempotency_conflict');
        expect(body.lines).to.deep.equal([
          refusedBy(a, { status: 'cancelled', quantity: 1 }),
          refusedBy(b, { status: 'deducted', quantity: 1, code: 'idempotency_conflict' }),
        ]);
        expect(body.detail).to.equal(
          `order line "${b.order_detail_id}" of SKU "${b.sku_id}" belongs to another order; ` +
            'this attempt changed nothing; 1 of 2 lines is cancelled since an earlier attempt',
        );
      }
      expect(await journalsOf(pair), 'a refused attempt changes nothing').to.deep.equal(before);
      expect(expectStatus(await cancel(shop, x, [a]), 200).body.replayed).to.equal(true);
    });

  it('list the state of every line when all lines are on one shard', async () => {
    const pair = await newPair('single', skusOnOneShard(fresh('single'), 2).sku_ids);
    const { a, b, x, y } = pair;
    const c = { ...a, order_detail_id: 'never sold' };
    expectStatus(await sell(shop, x, a), 201);
    expectStatus(await sell(shop, y, b), 201);
    const before = await journalsOf(pair);
    const { body } = expectStatus(await cancel(shop, x, [a, b, c]), 409);
    expect(body.lines).to.deep.equal([
      refusedBy(a, { status: 'deducted', quantity: 1 }),
      refusedBy(b, { status: 'deducted', quantity: 1, code: 'idempotency_conflict' }),
      refusedBy(c, { status: 'none' }),
    ]);
    expect(body.detail).to.match(/belongs to another order; this attempt changed nothing$/);
    expect(await journalsOf(pair)).to.deep.equal(before);
  });

  it('are outcome_unknown after a partial cancellation, and refuse the next attempt with the states', async () => {
    const { a, b, x, y } = await newPair('race');
    expectStatus(await sell(shop, x, a), 201);
    let isSold = false;
    // The other order takes `b` between the check of all shards and the first change.
    beforeCall = async (port, method, given) => {
      const [operation] = (port === 'engine' && method === 'apply' ? given[1] : []) as { kind: string }[];
      if (operation?.kind !== 'cancel' || given[0] !== SHARDS[1] || isSold) return undefined;
      isSold = true;
      expectStatus(await sell(gateways[1] as TestGateway, y, b), 201);
      return undefined;
    };
    const half = await cancel(shop, x, [a, b]);
    expect(isSold).to.equal(true);
    expect([half.status, half.body.code]).to.deep.equal([503, 'outcome_unknown']);
    const again = expectStatus(await cancel(gateways[2] as TestGateway, x, [a, b]), 409);
    expect(linesOf(again).map(({ status, code }) => [status, code])).to.deep.equal([
      ['cancelled', undefined],
      ['deducted', 'idempotency_conflict'],
    ]);
  });

  it('are outcome_unknown also when the last part went to the wrong shard first', async () => {
    const { a, b, x, y } = await newPair('misplaced');
    expectStatus(await sell(shop, x, a), 201);
    let isSold = false;
    beforeCall = async (port, method, given) => {
      const [operation] = (port === 'engine' && method === 'apply' ? given[1] : []) as { kind: string }[];
      if (operation?.kind !== 'cancel' || given[0] !== SHARDS[1] || isSold) return undefined;
      isSold = true;
      expectStatus(await sell(gateways[1] as TestGateway, y, b), 201);
      return [{ is: 'not_mine' }];
    };
    const half = await cancel(shop, x, [a, b]);
    expect([half.status, half.body.code]).to.deep.equal([503, 'outcome_unknown']);
    expect((await rowsOf([a, b])).map(({ status }) => status)).to.deep.equal(['cancelled', 'deducted']);
  });

  // How the other order is sold, and the call that decides it.
  const decisions = [
    { cart: 'transaction', call: 'engine.applyJointly', seller: () => shop },
    { cart: 'cart', call: 'carts.decide', seller: () => older },
  ];
  for (const { cart, call, seller } of decisions) {
    it(`name the line that an open ${cart} holds, and the number of lines that were cancelled before`, async () => {
      const { a, b, x, y } = await newPair('pending');
      const beside = await newPair('beside');
      expectStatus(await cancel(shop, x, [a]), 200);
      let release: () => void = () => undefined;
      const isHeld = new Promise<void>((resolve) => {
        // The other order stays open just before its commit decision.
        beforeCall = async (port, method) => {
          if (`${port}.${method}` !== call) return undefined;
          resolve();
          await new Promise<void>((go) => (release = go));
          return undefined;
        };
      });
      const open = seller().post('/v1/deductions', {
        order_id: y,
        lines: [b, beside.a].map((key) => ({ ...key, quantity: 1 })),
      });
      await isHeld;
      try {
        const { body } = expectStatus(await cancel(gateways[1] as TestGateway, x, [a, b]), 409);
        expect(body.code).to.equal('pending');
        expect(body.lines).to.deep.equal([
          refusedBy(a, { status: 'cancelled', quantity: 0 }),
          refusedBy(b, { status: 'pending', quantity: 1, code: 'pending' }),
        ]);
        expect(body.detail).to.match(
          new RegExp(
            'is held by a cart that is not decided yet; send the same call again; ' +
              'this attempt changed nothing; 1 of 2 lines is cancelled',
          ),
        );
      } finally {
        release();
        await open;
      }
    });
  }

  for (const { where, shards } of PLACES)
    it(`match the rows when one line is sold at the same time, on ${where}: ${RACES} races`, async () => {
      const [a = '', b = ''] = shards.map((shard) => skuOn(shard, fresh('races')));
      for (const sku_id of [a, b]) await shop.openSku(sku_id, RACES);
      let soldToY = 0;
      const counts = new Map<string, number>();
      const count = (of: string, { status, body }: Answer): void => {
        const word = `${of}: ${status}${status < 400 ? '' : ` ${body.code}`}`;
        counts.set(word, (counts.get(word) ?? 0) + 1);
      };
      await inParallel(
        Array.from({ length: RACES }, (_, number) => number),
        RACES_AT_A_TIME,
        async (number) => {
          const pair = pairOf(a, b, fresh(`race ${number}`));
          const [canceller, seller, repeater] = gateways as [TestGateway, TestGateway, TestGateway];
          expectStatus(await sell(shop, pair.x, pair.a), 201);
          const lines = number % 2 === 0 ? [pair.a, pair.b] : [pair.b, pair.a];
          const selling = sleep(number % SALE_MS_MAX).then(() => sell(seller, pair.y, pair.b));
          const [first, sale, repeated] = await Promise.all([
            cancel(canceller, pair.x, lines),
            selling,
            cancel(repeater, pair.x, lines),
          ]);
          count('cancellation', first);
          count('sale', sale);
          count('repetition', repeated);
          const last = await untilDefinite(repeater, pair.x, lines, [first, repeated]);
          count('in the end', last);
          const rows = new Map<string, LineState>((await rowsOf(lines)).map((line) => [flowKeyText(line), line]));
          if (rows.get(flowKeyText(pair.b))?.order_id === pair.y) soldToY += 1;
          for (const answer of [first, repeated, last]) expectAgreement(pair, answer, rows);
          expect(sale.status, sale.text).to.be.oneOf([201, 409, 503]);
          if (sale.status !== 503)
            expect(sale.status === 201, sale.text).to.equal(rows.get(flowKeyText(pair.b))?.order_id === pair.y);
        },
      );
      console.log(
        `      ${[...counts]
          .sort()
          .map(([word, times]) => `${word} × ${times}`)
          .join(', ')}`,
      );
      const sum = async (sku_id: string): Promise<number> =>
        (await shop.get(`/v1/skus/${sku_id}`)).body.leaved_amount as number;
      expect(await sum(b), 'units left after the sales and cancellations').to.equal(RACES - soldToY);
    });

  const isUnknown = ({ status, body }: Answer): boolean =>
    status === 503 && (body.code === 'outcome_unknown' || body.code === 'overloaded');

  /** Repeats a cancellation after earlier attempts. @returns its first definite answer */
  const untilDefinite = async (
    gateway: TestGateway,
    order_id: string,
    lines: readonly FlowKey[],
    sofar: readonly Answer[],
  ): Promise<Answer> => {
    for (const answer of sofar) expect(answer.status, answer.text).to.be.oneOf([200, 409, 503]);
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const answer = await cancel(gateway, order_id, lines);
      if (!isUnknown(answer)) return answer;
    }
    throw new Error('no definite answer to a cancellation');
  };

  /** Compares an answer with the rows at the end: a line that was cancelled or deducted stays so. */
  const expectAgreement = ({ a, b, x, y }: Pair, answer: Answer, rows: ReadonlyMap<string, LineState>): void => {
    const context = `${answer.text}; rows ${JSON.stringify([...rows.values()])}`;
    if (isUnknown(answer)) return;
    if (answer.status === 200) {
      for (const key of [a, b])
        expect(rows.get(flowKeyText(key)), context).to.include({ status: 'cancelled', order_id: x });
      return;
    }
    expect([answer.status, answer.body.code], context).to.deep.equal([409, 'idempotency_conflict']);
    const [ofA, ofB] = [a, b].map((key) => linesOf(answer).find((line) => flowKeyText(line) === flowKeyText(key)));
    // The sale of `b` is the reason for the refusal, and it is final.
    expect(ofB, context).to.include({ status: 'deducted', code: 'idempotency_conflict', quantity: 1 });
    expect(rows.get(flowKeyText(b)), context).to.include({ status: 'deducted', order_id: y });
    expect(ofA?.code, context).to.equal(undefined);
    // An attempt that is still under way may cancel `a` after this answer; a cancellation is never undone.
    if (ofA?.status === 'cancelled')
      expect(rows.get(flowKeyText(a)), context).to.include({ status: 'cancelled', order_id: x });
    else expect(ofA, context).to.include({ status: 'deducted', quantity: 1 });
  };
});
