import { expect } from 'chai';
import { STOCK_LIMIT } from '../../src/core/types.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { ENGINE_NAMES, ENGINE_OF, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { hotRowsOf, rowsBalance, unitsToMove } from '../support/hot/hotRows.ts';
import { restockAsBefore } from '../support/engines/olderRestock.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const ROUNDS = LONG ? 20 : 3;
const RESTOCKS = 24;
const ROOM = 20;
const WAIT_MS = 3_000;

for (const engine of ENGINE_NAMES) {
  describe(`the stock limit of a SKU: ${engine}`, () => {
    let gateways: TestGateway[];
    let sku_id: string;
    const at = (place: number): TestGateway => gateways[place % gateways.length] as TestGateway;

    before(async () => {
      gateways = await Promise.all([0, 1].map(() => startTestGateway({ STOCKGATE_ENGINE: engine })));
    });
    after(() => Promise.all(gateways.map((gateway) => gateway.stop())));
    beforeEach(() => {
      sku_id = fresh('limit');
    });

    const path = (rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
    const adjust = (adjustment_id: string, delta: number, by = at(0)): Promise<Answer> =>
      by.adminPost(path('/adjustments'), { adjustment_id, delta });
    const wordOf = ({ status, body }: Answer): string =>
      status < 400 ? String(status) : `${status} ${body?.code as string}`;
    const left = async (): Promise<unknown> => (await at(1).get(path())).body?.leaved_amount;
    const split = async (sub_rows: number): Promise<void> => {
      const url = at(0).adminUrl + path('/hot');
      const how = sub_rows === 1 ? ({ method: 'DELETE' } as const) : ({ method: 'PUT', body: { sub_rows } } as const);
      const answer = await at(0).client.call({ ...how, url });
      expect(answer.status, answer.text).to.equal(200);
    };
    const sell = async (order_detail_id: string, quantity: number): Promise<void> => {
      expect(wordOf(await at(0).deduct({ sku_id, order_detail_id, quantity }))).to.equal('201');
    };
    const giveBack = (order_detail_id: string, quantity: number, by = at(1)): Promise<Answer> =>
      by.post('/v1/returns', { return_id: `back ${order_detail_id} ${quantity}`, order_detail_id, sku_id, quantity });
    const cancel = (order_detail_id: string): Promise<Answer> => {
      const lines = [{ order_detail_id, sku_id }];
      return at(0).post('/v1/cancellations', { order_id: `order of ${order_detail_id}`, lines });
    };
    /** Opening stock plus adjustments, read from the rows. */
    const total = async (): Promise<bigint> => {
      const session = await sideSession(new SlotMap(stack().initialShards).shardOf(sku_id));
      const adjusted = 'SELECT COALESCE(SUM(delta), 0) FROM adjustment a WHERE a.sku_id = stock.sku_id';
      const sum = `CAST(opening_amount + (${adjusted}) AS CHAR)`;
      const sql = `SELECT ${sum} AS total FROM stock WHERE sku_id = ? AND sub_row = 0`;
      const [rows] = await session.query(sql, [Buffer.from(sku_id)]);
      await session.end();
      return BigInt((rows as { total: string }[])[0]?.total ?? 0);
    };

    it('bounds opening stock plus adjustments, so every return and cancellation has room in any layout', async () => {
      await at(0).openSku(sku_id, STOCK_LIMIT);
      await sell('a', 1_000);
      await sell('b', 1_000);
      expect(wordOf(await adjust('more', 2_000))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('one', 1, at(1)))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('off', -7))).to.equal('201');
      expect(wordOf(await adjust('above', 8))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('up to it', 7, at(1)))).to.equal('201');
      expect(wordOf(await adjust('up to it', 7))).to.equal('200');

      await split(16);
      expect(await left()).to.equal(STOCK_LIMIT - 2_000);
      expect(wordOf(await adjust('split', 1))).to.equal('409 stock_limit');
      await sell('c', 500);
      expect(wordOf(await giveBack('a', 400))).to.equal('201');
      expect(wordOf(await cancel('b'))).to.equal('200');
      expect(await left()).to.equal(STOCK_LIMIT - 600 - 500);
      expect(wordOf(await giveBack('a', 600))).to.equal('201');
      expect(wordOf(await cancel('c'))).to.equal('200');
      expect(await left()).to.equal(STOCK_LIMIT);
      expect(wordOf(await adjust('off again', -3, at(1)))).to.equal('201');
      expect(wordOf(await adjust('split above', 4))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('split up to it', 3))).to.equal('201');

      await split(1);
      await eventually('no unit is in a transfer', 10_000, async () => (await unitsToMove(stack(), sku_id)) === 0);
      await eventually('all units lie in one row', 10_000, async () => {
        const rows = await hotRowsOf(stack(), sku_id);
        return rows.every(({ sub_row, leaved_amount }) => leaved_amount === (sub_row === 0 ? STOCK_LIMIT : 0));
      });
      expect(await left()).to.equal(STOCK_LIMIT);
      expect(wordOf(await adjust('merged', 1))).to.equal('409 stock_limit');
    });

    for (const sub_rows of [1, 4]) {
      it(`is not exceeded by restocks that two gateways send at the same time, over ${sub_rows} rows`, async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          sku_id = fresh('race');
          await at(0).openSku(sku_id, STOCK_LIMIT - ROOM);
          await sell('sold', 1_000);
          if (sub_rows > 1) await split(sub_rows);
          const deltas = Array.from({ length: RESTOCKS }, (_, place) => 1 + ((place + round) % 5));
          const answers = await Promise.all(deltas.map((delta, place) => adjust(`in ${place}`, delta, at(place))));
          const added = deltas.filter((_, place) => answers[place]?.status === 201);
          const refused = deltas.filter((_, place) => wordOf(answers[place] as Answer) === '409 stock_limit');
          const words = ['201', '409 stock_limit', '503 overloaded'];
          for (const answer of answers) expect(wordOf(answer)).to.be.oneOf(words);
          const room = STOCK_LIMIT - Number(await total());
          expect(room)
            .to.equal(ROOM - added.reduce((sum, delta) => sum + delta, 0))
            .and.to.be.at.least(0);
          // Nothing was written off, so what was refused does not fit now either.
          expect(Math.min(...refused)).to.be.above(room);
          if (room > 0) expect(wordOf(await adjust('rest', room))).to.equal('201');
          expect(wordOf(await giveBack('sold', 1_000))).to.equal('201');
          expect(await left()).to.equal(STOCK_LIMIT);
        }
      });
    }

    it('allows a write-off of a SKU that older gateways raised above it, and keeps the row in bounds', async () => {
      await at(0).openSku(sku_id, STOCK_LIMIT - 1);
      await sell('a', 500);
      await restockAsBefore(sku_id, 501);
      expect(await total()).to.equal(BigInt(STOCK_LIMIT) + 500n);
      expect(wordOf(await giveBack('a', 1))).to.equal('409 stock_limit');
      expect(wordOf(await cancel('a'))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('in', 1))).to.equal('409 stock_limit');
      expect(wordOf(await adjust('off', -300))).to.equal('201');
      expect(wordOf(await adjust('in', 1))).to.equal('409 stock_limit');
      expect(wordOf(await giveBack('a', 300))).to.equal('201');
      expect(wordOf(await adjust('off again', -200, at(1)))).to.equal('201');
      expect(wordOf(await cancel('a'))).to.equal('200');
      expect([await left(), await total()]).to.deep.equal([STOCK_LIMIT, BigInt(STOCK_LIMIT)]);
      await rowsBalance(stack(), sku_id);
    });
  });
}

describe('the stock limit of a SKU: a repair of its journal', () => {
  it('does not exceed it, and reports the total that it would reach', async () => {
    const shards = openShards(stack());
    const sku_id = fresh('repaired');
    const shard = new SlotMap(stack().initialShards).shardOf(sku_id);
    const deadline = (): number => performance.now() + WAIT_MS;
    const session = await sideSession(shard);
    try {
      await ENGINE_OF.batching(shards).apply(shard, [{ kind: 'open', sku_id, leaved_amount: STOCK_LIMIT }], deadline());
      // A flow without its effect on the row: the row has one unit more than the journal has.
      const flow = 'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)';
      await session.query(
        flow,
        [sku_id, 'd', 'o'].map((text) => Buffer.from(text)),
      );
      const adjustment = { kind: 'adjust', sku_id, adjustment_id: 'repair', delta: 1, reason: null } as const;
      const repaired = await new ShardAuditor(shards).repair(shard, adjustment, deadline());
      expect(repaired.is).to.equal('not_done');
      expect(repaired)
        .to.have.property('reason')
        .that.contains(`would be ${BigInt(STOCK_LIMIT) + 1n} units`);
      const [rows] = await session.query('SELECT * FROM adjustment WHERE sku_id = ?', [Buffer.from(sku_id)]);
      expect(rows).to.deep.equal([]);
    } finally {
      for (const table of ['flow', 'stock'])
        await session.query(`DELETE FROM ${table} WHERE sku_id = ?`, [Buffer.from(sku_id)]);
      await session.end();
      for (const { pool } of shards) pool.close();
    }
  });
});
