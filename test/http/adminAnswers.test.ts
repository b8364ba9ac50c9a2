import { expect } from 'chai';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { ADMIN_ROUTES, expectDeclared, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { ENGINE_NAMES } from '../support/engines/engines.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';

for (const engine of ENGINE_NAMES) {
  describe(`admin answers: ${engine}`, () => {
    let gateway: TestGateway;
    let sku_id: string;

    before(async () => {
      gateway = await startTestGateway({ STOCKGATE_ENGINE: engine });
    });
    after(() => gateway.stop());
    beforeEach(() => {
      sku_id = fresh('admin answer');
    });

    const path = (rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
    const put = async (rest: string, body: unknown): Promise<Answer> => {
      const answer = await gateway.adminPut(path(rest), body);
      expectDeclared(ADMIN_ROUTES, 'PUT', path(rest), answer);
      return answer;
    };
    const open = (leaved_amount: number): Promise<Answer> => put('', { leaved_amount });
    const adjust = async (adjustment_id: string, delta: number): Promise<Answer> => {
      const answer = await gateway.adminPost(path('/adjustments'), { adjustment_id, delta });
      expectDeclared(ADMIN_ROUTES, 'POST', path('/adjustments'), answer);
      return answer;
    };
    const read = async (): Promise<Answer['body']> => {
      const answer = await gateway.get(path());
      expectDeclared(PUBLIC_ROUTES, 'GET', path(), answer);
      expect(answer.status, answer.text).to.equal(200);
      return answer.body;
    };
    const deduct = async (order_detail_id: string, quantity: number): Promise<void> => {
      expect((await gateway.deduct({ sku_id, order_detail_id, quantity })).status).to.equal(201);
    };
    const merge = (): Promise<Answer> =>
      gateway.client.call({ method: 'DELETE', url: gateway.adminUrl + path('/hot') });
    const split = (sub_rows: number): Promise<Answer> => (sub_rows === 1 ? merge() : put('/hot', { sub_rows }));
    const isSplit = async (sub_rows: number): Promise<void> => {
      expect((await split(sub_rows)).status).to.equal(200);
    };

    describe('PUT /v1/skus', () => {
      it('returns the opening stock and the units left now, when the SKU exists', async () => {
        expect((await open(5)).body).to.deep.equal({ sku_id, leaved_amount: 5, opened_with: 5, replayed: false });
        await deduct('a', 3);
        await adjust('more', 4);
        const again = await open(5);
        expect(again.status).to.equal(200);
        expect(again.body).to.deep.equal({ sku_id, leaved_amount: 6, opened_with: 5, replayed: true });
        const other = await open(7);
        expect(other.status).to.equal(409);
        expect(other.body).to.include({ code: 'sku_exists', opened_with: 5, leaved_amount: 6 });
        expect(other.body.detail).to.include('5').and.to.include('7');
      });

      it('adds up the rows of a split SKU', async () => {
        await open(80);
        await isSplit(4);
        for (const id of ['a', 'b', 'c']) await deduct(id, 9);
        expect((await open(80)).body).to.include({ leaved_amount: 53, opened_with: 80, replayed: true });
        expect((await open(81)).body).to.include({ code: 'sku_exists', leaved_amount: 53, opened_with: 80 });
      });
    });

    describe('a write-off that is refused', () => {
      it('returns the units that are left', async () => {
        await open(12);
        await deduct('a', 3);
        const { status, body } = await adjust('off', -10);
        expect(status).to.equal(409);
        expect(body).to.include({ code: 'insufficient_stock', leaved_amount: 9 });
        expect(body.detail).to.include('10').and.to.include('9');
        expect((await adjust('off', -9)).status).to.equal(201);
        expect((await adjust('off 2', -1)).body).to.include({ code: 'insufficient_stock', leaved_amount: 0 });
      });

      it('returns the units of all rows of a split SKU', async () => {
        await open(40);
        await isSplit(4);
        await deduct('a', 6);
        expect((await adjust('off', -35)).body).to.include({ code: 'insufficient_stock', leaved_amount: 34 });
        expect((await adjust('off', -34)).status).to.equal(201);
        expect((await adjust('off 2', -1)).body).to.include({ code: 'insufficient_stock', leaved_amount: 0 });
      });
    });

    describe('the sale state', () => {
      const FROM = '2037-11-27T08:00:00.500Z';

      it('is returned by GET, also of a split SKU', async () => {
        await open(10);
        for (const rows of [1, 4]) {
          await isSplit(rows);
          expect((await put('/sale', { state: 'on' })).status).to.equal(200);
          expect((await read()).sale).to.deep.equal({ state: 'on', from: null });
          const later = await put('/sale', { state: 'on', from: '2037-11-27T08:00:00.5Z' });
          expect(later.body).to.deep.equal({ sku_id, state: 'on', from: FROM });
          expect((await read()).sale).to.deep.equal({ state: 'on', from: FROM });
          expect((await put('/sale', { state: 'on', from: '2001-02-03T04:05:06Z' })).status).to.equal(200);
          expect((await read()).sale).to.deep.equal({ state: 'on', from: '2001-02-03T04:05:06.000Z' });
          expect((await put('/sale', { state: 'paused' })).status).to.equal(200);
          expect((await read()).sale).to.deep.equal({ state: 'paused', from: null });
        }
      });

      it('rejects `from` with `paused`, without an effect', async () => {
        await open(10);
        await put('/sale', { state: 'on', from: FROM });
        const refused = await put('/sale', { state: 'paused', from: FROM });
        expect([refused.status, refused.body.code]).to.deep.equal([400, 'invalid_request']);
        expect(refused.body.errors.map((fault: { path: string }) => fault.path)).to.deep.equal(['from']);
        expect((await read()).sale).to.deep.equal({ state: 'on', from: FROM });
      });

      it('rejects query parameters, as does every other call that has none', async () => {
        await open(10);
        const line = { sku_id, order_detail_id: 'a', quantity: 1 };
        const answers = [
          await put(`/sale?from=${FROM}`, { state: 'on' }),
          await put('/sale?state=on', { state: 'paused' }),
          await gateway.adminPut(`${path()}?leaved_amount=4`, { leaved_amount: 10 }),
          await gateway.post('/v1/availability?consistency=primary', { sku_ids: [sku_id], consistency: 'cached' }),
          await gateway.post('/v1/deductions?dry_run=1', { order_id: 'o', lines: [line] }),
        ];
        for (const { status, text } of answers) expect(status, text).to.equal(400);
        expect(answers[0]?.body.errors).to.deep.equal([
          { path: 'from', message: 'is not a known field; none is known here' },
        ]);
        expect(await read()).to.deep.include({ leaved_amount: 10, sale: { state: 'on', from: null } });
        expect((await gateway.adminGet('/healthz?probe=1')).status).to.equal(200);
      });
    });

    describe('GET during resizes', () => {
      const sumOf = (body: { sub_rows: { leaved_amount: number }[] }): number =>
        body.sub_rows.reduce((sum, row) => sum + row.leaved_amount, 0);
      const SIZES = [4, 16, 3, 1, 5, 1];
      /** The units left that the call for many SKUs returned. */
      let amounts: number[] = [];
      beforeEach(() => (amounts = []));

      /** Reads without a pause while some work runs. @returns every successful answer */
      const during = async (work: () => Promise<void>): Promise<Answer['body'][]> => {
        let isOver = false;
        const seen: Answer['body'][] = [];
        const reading = Promise.all(
          Array.from({ length: 3 }, async () => {
            while (!isOver) {
              const { body: available } = await gateway.post('/v1/availability', {
                sku_ids: [sku_id],
                consistency: 'primary',
              });
              const [one] = available.skus;
              if (one.status === 'known') amounts.push(one.leaved_amount);
              else expect(one.status).to.equal('unavailable');
              const answer = await gateway.get(path());
              if (answer.status === 200) seen.push(answer.body);
              else expect(answer.status, answer.text).to.equal(503);
            }
          }),
        );
        try {
          await work();
        } finally {
          isOver = true;
          await reading;
        }
        return seen;
      };
      const resizes = async (): Promise<void> => {
        for (const sub_rows of SIZES) {
          let answer = await split(sub_rows);
          while (answer.status === 503) answer = await split(sub_rows);
          expect(answer.status, answer.text).to.equal(200);
        }
      };
      const isWhole = (body: Answer['body']): void => {
        expect(body.in_transit, JSON.stringify(body)).to.be.at.least(0);
        expect(sumOf(body) + body.in_transit, JSON.stringify(body)).to.equal(body.leaved_amount);
      };

      it('returns an exact sum, which stays the same while nothing is sold', async () => {
        await open(1_000);
        const seen = await during(resizes);
        expect(seen).to.have.length.above(SIZES.length);
        seen.forEach(isWhole);
        expect([...new Set(seen.map(({ leaved_amount }) => leaved_amount as number))]).to.deep.equal([1_000]);
        expect([...new Set(amounts)], 'availability').to.deep.equal([1_000]);
      });

      it('returns an exact sum under orders', async () => {
        await open(100_000);
        let isOver = false;
        let sold = 0;
        const selling = Promise.all(
          Array.from({ length: 4 }, async (_, lane) => {
            for (let number = 0; !isOver; number += 1) {
              const { status } = await gateway.deduct({ sku_id, order_detail_id: `${lane} ${number}`, quantity: 3 });
              if (status === 201) sold += 3;
              else expect(status).to.equal(503);
            }
          }),
        );
        const seen = await during(resizes);
        isOver = true;
        await selling;
        seen.forEach(isWhole);
        expect((await read()).leaved_amount).to.equal(100_000 - sold);
      });
    });
  });
}
