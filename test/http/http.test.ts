import { expect } from 'chai';
import { STOCK_LIMIT } from '../../src/core/types.ts';
import type { Answer, CallOptions } from '../../scripts/support/httpClient.ts';
import { ADMIN_ROUTES, expectDeclared, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { skuOn, skusOnOneShard } from '../support/engines/traffic.ts';

type Line = { order_detail_id: string; sku_id: string; quantity: number };

describe('http', () => {
  let gateway: TestGateway;
  let sku_id: string;
  let order_id: string;

  before(async () => {
    gateway = await startTestGateway();
  });
  after(() => gateway.stop());
  beforeEach(() => {
    sku_id = fresh('http sku ü/?');
    order_id = fresh('http-order');
  });

  /** Calls, and checks every answer against the call's own declaration. */
  const call = async (
    listener: 'public' | 'admin',
    method: CallOptions['method'],
    path: string,
    body?: unknown,
  ): Promise<Answer> => {
    const base = listener === 'public' ? gateway.publicUrl : gateway.adminUrl;
    const answer = await gateway.client.call({ method, url: base + path, ...(body === undefined ? {} : { body }) });
    expectDeclared(listener === 'public' ? PUBLIC_ROUTES : ADMIN_ROUTES, method, path, answer);
    return answer;
  };
  const skuPath = (id = sku_id): string => `/v1/skus/${encodeURIComponent(id)}`;
  const open = (leaved_amount: number, id = sku_id): Promise<Answer> =>
    call('admin', 'PUT', skuPath(id), { leaved_amount });
  const deduct = (...lines: Line[]): Promise<Answer> => call('public', 'POST', '/v1/deductions', { order_id, lines });
  const line = (order_detail_id: string, quantity: number, id = sku_id): Line => ({
    order_detail_id,
    sku_id: id,
    quantity,
  });
  const find = (detail: string, id = sku_id): Promise<Answer> =>
    call('public', 'GET', `/v1/deductions/${encodeURIComponent(detail)}?sku_id=${encodeURIComponent(id)}`);
  const left = async (id = sku_id): Promise<number> => (await call('public', 'GET', skuPath(id))).body.leaved_amount;
  const codeOf = ({ status, body }: Answer): unknown => (status < 400 ? status : `${status} ${body.code}`);

  describe('POST /v1/deductions', () => {
    it('answers 201 with the deducted lines, and 200 with the same on a replay', async () => {
      await open(5);
      const answered = { order_id, status: 'deducted', durability: 'mysql' };
      const deducted = { ...line('a', 3), returned: 0 };
      const first = await deduct(line('a', 3));
      expect([first.status, first.body]).to.deep.equal([
        201,
        { ...answered, replayed: false, lines: [{ ...deducted, replayed: false }] },
      ]);
      const again = await deduct(line('a', 3));
      expect([again.status, again.body]).to.deep.equal([
        200,
        { ...answered, replayed: true, lines: [{ ...deducted, replayed: true }] },
      ]);
      expect(await left()).to.equal(2);
    });

    it('answers 201 when any line is new, and marks each line as new or replayed, in their order', async () => {
      await open(5);
      await deduct(line('a', 1));
      const { status, body } = await deduct(line('b', 1), line('a', 1));
      expect([status, body.replayed]).to.deep.equal([201, false]);
      expect(body.lines.map((each: { replayed: boolean }) => each.replayed)).to.deep.equal([false, true]);
    });

    it('refuses with the most important code, and lists every refused line with its own code', async () => {
      const { sku_ids } = skusOnOneShard(fresh('http'), 2);
      const [known = '', unknown = ''] = sku_ids;
      await open(4, known);
      await deduct(line('a', 1, known));
      const short = { ...line('b', 9, known), code: 'insufficient_stock', leaved_amount: 3 };
      const refusals: readonly (readonly [Line[], string, unknown[]])[] = [
        [[line('b', 9, known)], '409 insufficient_stock', [short]],
        [
          [line('b', 1, unknown), line('b', 9, known)],
          '404 unknown_sku',
          [{ ...line('b', 1, unknown), code: 'unknown_sku' }, short],
        ],
        [
          [line('b', 9, known), line('a', 2, known)],
          '409 idempotency_conflict',
          [short, { ...line('a', 2, known), code: 'idempotency_conflict' }],
        ],
      ];
      for (const [lines, expected, named] of refusals) {
        const refusal = await deduct(...lines);
        expect([codeOf(refusal), refusal.body.lines]).to.deep.equal([expected, named]);
      }
      expect(await left(known)).to.equal(3);
    });

    it('refuses the same ids under another order', async () => {
      await open(5);
      await deduct(line('a', 1));
      order_id = fresh('another');
      expect(codeOf(await deduct(line('a', 1)))).to.equal('409 idempotency_conflict');
    });

    it('rejects the same pair twice in one request, with its position', async () => {
      await open(5);
      const answer = await deduct(line('a', 1), line('b', 1), line('a', 1));
      expect(codeOf(answer)).to.equal('400 invalid_request');
      expect(answer.body.errors).to.deep.equal([
        { path: 'lines[2]', message: 'has the same sku_id and order_detail_id as lines[0]' },
      ]);
      expect(await left()).to.equal(5);
    });

    it('accepts lines on several shards', async () => {
      const [here, there] = [skuOn(0, fresh('http')), skuOn(8, fresh('http'))];
      await open(5, here);
      await open(5, there);
      expect(codeOf(await deduct(line('a', 1, here), line('a', 1, there)))).to.equal(201);
      expect([await left(here), await left(there)]).to.deep.equal([4, 4]);
    });
  });

  describe('look-ups', () => {
    it('return a deduction, and 404 for one that does not exist', async () => {
      await open(5);
      await deduct(line('de/tail', 2));
      const { status, body } = await find('de/tail');
      const { shard, created_at, ...rest } = body;
      expect(status).to.equal(200);
      expect(rest).to.deep.equal({ order_id, ...line('de/tail', 2), returned: 0, status: 'deducted', sub_row: 0 });
      expect(shard).to.be.within(0, 15);
      expect(Date.now() - Date.parse(created_at)).to.be.within(-5_000, 60_000);
      expect(codeOf(await find('another'))).to.equal('404 unknown_deduction');
      expect(codeOf(await find('de/tail', fresh('another sku')))).to.equal('404 unknown_deduction');
      expect(codeOf(await call('public', 'GET', '/v1/deductions/detail'))).to.equal('400 invalid_request');
    });

    it('return many deductions at once, over all shards, in the order of the request', async () => {
      const ids = Array.from({ length: 16 }, (_, shard) => skuOn(shard, fresh('lookup')));
      await Promise.all(ids.map((id) => open(1, id)));
      await Promise.all(ids.filter((_, index) => index % 2 === 0).map((id) => deduct(line('a', 1, id))));
      const lines = ids.toReversed().map((id) => ({ order_detail_id: 'a', sku_id: id }));
      const { status, body } = await call('public', 'POST', '/v1/deductions/lookup', { lines });
      expect(status).to.equal(200);
      expect(body.lines.map((each: { sku_id: string }) => each.sku_id)).to.deep.equal(lines.map((each) => each.sku_id));
      expect(body.lines.map((each: { status: string }) => each.status)).to.deep.equal(
        lines.map((_, index) => (index % 2 === 0 ? 'none' : 'deducted')),
      );
      expect(body.lines[1].shard).to.equal(14);
    });
  });

  it('GET /v1/skus returns the units left from the primary, and the age of a cached answer', async () => {
    const id = skuOn(11, sku_id);
    await open(5, id);
    const stock = {
      sku_id: id,
      leaved_amount: 5,
      mode: 'single',
      sub_rows: [{ sub_row: 0, shard: 11, leaved_amount: 5 }],
    };
    const whole = { ...stock, sale: { state: 'on', from: null }, in_transit: 0 };
    for (const query of ['', '?consistency=primary']) {
      expect((await call('public', 'GET', skuPath(id) + query)).body).to.deep.equal(whole);
    }
    const { age_ms, ...cached } = (await call('public', 'GET', `${skuPath(id)}?consistency=cached`)).body;
    expect(cached).to.deep.equal({ ...stock, in_transit: 0 });
    expect(age_ms).to.be.within(0, 60_000);
    expect(codeOf(await call('public', 'GET', `${skuPath(id)}?consistency=eventual`))).to.equal('400 invalid_request');
    expect(codeOf(await call('public', 'GET', skuPath(fresh('unknown'))))).to.equal('404 unknown_sku');
  });

  it('PUT /v1/skus opens once, and accepts a repetition only with the same opening stock', async () => {
    const first = await open(5);
    expect([first.status, first.body]).to.deep.equal([
      201,
      { sku_id, leaved_amount: 5, opened_with: 5, replayed: false },
    ]);
    await deduct(line('a', 2));
    const again = await open(5);
    expect([again.status, again.body]).to.deep.equal([
      200,
      { sku_id, leaved_amount: 3, opened_with: 5, replayed: true },
    ]);
    expect(codeOf(await open(3))).to.equal('409 sku_exists');
    expect(await left()).to.equal(3);
    expect(codeOf(await open(0, fresh('empty')))).to.equal(201);
    expect(codeOf(await open(STOCK_LIMIT, fresh('full')))).to.equal(201);
  });

  it('POST adjustments restocks and writes off, once per id', async () => {
    const steps: readonly (readonly [id: string, delta: number, expected: unknown, left: number])[] = [
      ['in', 7, 201, 12],
      ['in', 7, 200, 12],
      ['in', 8, '409 idempotency_conflict', 12],
      ['out', -13, '409 insufficient_stock', 12],
      ['out', -12, 201, 0],
      ['out', -12, 200, 0],
      // Opening stock plus adjustments are 0 here.
      ['over', STOCK_LIMIT, 201, STOCK_LIMIT],
      ['beyond', 1, '409 stock_limit', STOCK_LIMIT],
    ];
    await open(5);
    for (const [adjustment_id, delta, expected, amount] of steps) {
      const answer = await call('admin', 'POST', `${skuPath()}/adjustments`, {
        adjustment_id,
        delta,
        reason: 'stock-taking',
      });
      expect(codeOf(answer), `${adjustment_id} ${delta}`).to.equal(expected);
      if (answer.status < 400)
        expect(answer.body).to.deep.equal({ sku_id, adjustment_id, delta, replayed: expected === 200 });
      expect(await left()).to.equal(amount);
    }
    const unknown = await call('admin', 'POST', `${skuPath(fresh('unknown'))}/adjustments`, {
      adjustment_id: 'a',
      delta: 1,
    });
    expect(codeOf(unknown)).to.equal('404 unknown_sku');
  });

  it('GET /v1/shards lists every shard in order, with all slots assigned', async () => {
    const { shards } = (await call('admin', 'GET', '/v1/shards')).body;
    expect(shards.map(({ name }: { name: string }) => name)).to.deep.equal(
      Array.from({ length: 16 }, (_, shard) => `shard-${String(shard).padStart(2, '0')}`),
    );
    for (const shard of shards) {
      expect(shard).to.include({ state: 'serving', reason: null, slots: 64, durability: 'mysql' });
      expect(shard.pool).to.include({ connections_max: 8, waiting: 0, waiting_max: 1_000 });
      expect(shard.pool.open).to.be.within(0, 8);
    }
  });

  it('GET /healthz and GET /readyz return that and nothing more', async () => {
    expect((await call('admin', 'GET', '/healthz')).body).to.deep.equal({ status: 'alive' });
    expect((await call('admin', 'GET', '/readyz')).body).to.deep.equal({ status: 'ready', durability: 'mysql' });
  });

  describe('invalid addresses and methods', () => {
    it('get 404 at unknown addresses, those of the other listener included', async () => {
      for (const path of [
        '/',
        '/v1',
        '/v2/deductions',
        '/v1/deductions/',
        '/V1/skus/a',
        '/v1/skus/a/b/c',
        '/metrics',
        '/v1/shards',
      ]) {
        expect(codeOf(await call('public', 'GET', path)), path).to.equal('404 not_found');
      }
      expect(codeOf(await call('admin', 'POST', '/v1/deductions', {}))).to.equal('404 not_found');
    });

    it('get 405 for a wrong method, with the list of the right ones', async () => {
      const calls = [
        ['public', 'GET', '/v1/deductions', 'POST'],
        ['public', 'POST', '/v1/skus/a%2Fb', 'GET'],
        ['public', 'PUT', '/v1/deductions/lookup', 'GET, POST'],
        ['admin', 'GET', '/v1/skus/a/hot', 'PUT, DELETE'],
        ['admin', 'DELETE', '/metrics', 'GET'],
      ] as const;
      for (const [listener, method, path, allow] of calls) {
        const answer = await call(listener, method, path);
        expect([codeOf(answer), answer.headers['allow']?.toString().split(', ').sort()], path).to.deep.equal([
          '405 method_not_allowed',
          allow.split(', ').sort(),
        ]);
      }
    });
  });
});
