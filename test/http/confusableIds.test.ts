import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import { SlotMap } from '../../src/core/slots.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { CONFUSION } from '../support/inputs/confusableIds.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { JSON_HEADERS, rawClient } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';
import { stack } from '../support/run/setup.ts';
import { onEachShard } from '../support/rows/tables.ts';

const LINES = 500;

/** Names control characters and white space itself, so that the product's rule is not compared with itself. */
function mayBeRefused(id: string): boolean {
  return (
    id === '' ||
    Buffer.byteLength(id, 'utf8') > 64 ||
    !id.isWellFormed() ||
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u001f\u007f-\u009f]/.test(id) ||
    /^[\s\ufeff]|[\s\ufeff]$/.test(id)
  );
}

describe('confusion', () => {
  const client = rawClient();
  const legal = CONFUSION.filter((id) => !mayBeRefused(id));
  const illegal = CONFUSION.filter(mayBeRefused);
  /** Amounts that differ from SKU to SKU. */
  const numbered = legal.map((id, place) => ({ id, opening: 10_000 + 7 * place, quantity: place + 1 }));
  let gateway: TestGateway;

  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  const encoded = encodeURIComponent;
  const send = (base: string, method: string, path: string, body?: unknown): Promise<Answer> =>
    client.call(base, {
      method,
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_HEADERS }),
    });
  const get = (path: string) => send(gateway.publicUrl, 'GET', path);
  const post = (path: string, body: unknown) => send(gateway.publicUrl, 'POST', path, body);
  const put = (id: string, leaved_amount: number) =>
    send(gateway.adminUrl, 'PUT', `/v1/skus/${encoded(id)}`, { leaved_amount });
  const adjust = (sku: string, body: unknown) =>
    send(gateway.adminUrl, 'POST', `/v1/skus/${encoded(sku)}/adjustments`, body);

  it('lists more than 200 ids', () => {
    expect(legal).to.have.length.above(200);
    expect(illegal).to.have.length.above(40);
    expect(new Set(legal.map((id) => Buffer.from(id, 'utf8').toString('hex')))).to.have.property('size', legal.length);
  });

  it('contains invalid ids that are refused in bodies, paths and queries', async () => {
    const sku = fresh('confusion');
    await gateway.openSku(sku, 100);
    for (const id of illegal) {
      const line = { order_detail_id: 'a', sku_id: sku, quantity: 1 };
      expectProblem(
        await post('/v1/deductions', { order_id: 'o', lines: [{ ...line, sku_id: id }] }),
        400,
        'lines[0].sku_id',
      );
      expectProblem(
        await post('/v1/deductions', { order_id: 'o', lines: [{ ...line, order_detail_id: id }] }),
        400,
        'lines[0].order_detail_id',
      );
      expectProblem(await post('/v1/deductions', { order_id: id, lines: [line] }), 400, 'order_id');
      expectProblem(
        await post('/v1/deductions/lookup', { lines: [{ order_detail_id: 'a', sku_id: id }] }),
        400,
        'lines[0].sku_id',
      );
      expectProblem(await adjust(sku, { adjustment_id: id, delta: 1 }), 400, 'adjustment_id');
      // A lone surrogate has no percent-encoding, and an empty path segment is another address.
      if (id === '' || !id.isWellFormed()) continue;
      expectProblem(await put(id, 5), 400, 'sku_id');
      expectProblem(await get(`/v1/skus/${encoded(id)}`), 400, 'sku_id');
      expectProblem(await get(`/v1/deductions/${encoded(id)}?sku_id=${sku}`), 400, 'order_detail_id');
      expectProblem(await get(`/v1/deductions/a?sku_id=${encoded(id)}`), 400, 'sku_id');
    }
    expect((await get(`/v1/skus/${sku}`)).body.leaved_amount).to.equal(100);
  });

  it('opens each id as a SKU of its own, with its own stock', async () => {
    for (const { id, opening } of numbered) {
      const { status, body } = await put(id, opening);
      expect([status, body.sku_id], JSON.stringify(id)).to.deep.equal([201, id]);
    }
    for (const { id, opening } of numbered) expect((await put(id, opening)).status, JSON.stringify(id)).to.equal(200);
  });

  it('deducts a different quantity from each SKU', async () => {
    for (const { id, quantity } of numbered) {
      const order = { order_id: id, lines: [{ order_detail_id: id, sku_id: id, quantity }] };
      for (const status of [201, 200])
        expect((await post('/v1/deductions', order)).status, JSON.stringify(id)).to.equal(status);
    }
  });

  it('reads each SKU and deduction by its own id', async () => {
    for (const { id, opening, quantity } of numbered) {
      const sku = await get(`/v1/skus/${encoded(id)}`);
      expect([sku.status, sku.body.sku_id, sku.body.leaved_amount], JSON.stringify(id)).to.deep.equal([
        200,
        id,
        opening - quantity,
      ]);
      const deduction = await get(`/v1/deductions/${encoded(id)}?sku_id=${encoded(id)}`);
      expect(deduction.status, JSON.stringify(id)).to.equal(200);
      expect(deduction.body).to.include({ sku_id: id, order_detail_id: id, order_id: id, quantity });
    }
  });

  it('mixes up no pair of ids', async () => {
    const pairs = numbered.flatMap((sku) => legal.map((order_detail_id) => ({ sku, order_detail_id })));
    for (let from = 0; from < pairs.length; from += LINES) {
      const requested = pairs.slice(from, from + LINES);
      const { body } = await post('/v1/deductions/lookup', {
        lines: requested.map(({ sku, order_detail_id }) => ({ sku_id: sku.id, order_detail_id })),
      });
      const actual = (body.lines as Record<string, unknown>[]).map(({ sku_id, order_detail_id, status, quantity }) => [
        sku_id,
        order_detail_id,
        status,
        quantity,
      ]);
      const expected = requested.map(({ sku: { id, quantity }, order_detail_id }) =>
        id === order_detail_id ? [id, order_detail_id, 'deducted', quantity] : [id, order_detail_id, 'none', undefined],
      );
      expect(actual).to.deep.equal(expected);
    }
  });

  it('is stored once in the tables, byte for byte, on the shard that its bytes select', async () => {
    const map = new SlotMap(stack().initialShards);
    const hex = (id: string): string => Buffer.from(id, 'utf8').toString('hex');
    const known = new Set(legal.map(hex));
    const rows = await onEachShard(stack().shards, async (connection) => {
      const [found] = await connection.query<RowDataPacket[]>(
        'SELECT LOWER(HEX(s.sku_id)) AS sku, s.opening_amount AS opening, s.leaved_amount AS leaved, ' +
          'LOWER(HEX(f.order_detail_id)) AS detail, LOWER(HEX(f.order_id)) AS owner, f.quantity AS quantity ' +
          'FROM stock s LEFT JOIN flow f ON f.sku_id = s.sku_id',
      );
      return found.filter(({ sku }) => known.has(sku as string));
    });
    const actual = rows.flatMap((found, shard) =>
      found.map(({ sku, opening, leaved, detail, owner, quantity }) =>
        [sku, shard, opening, leaved, detail, owner, quantity].join(' '),
      ),
    );
    const expected = numbered.map(({ id, opening, quantity }) =>
      [hex(id), map.shardOf(id), opening, opening - quantity, hex(id), hex(id), quantity].join(' '),
    );
    expect(actual.sort()).to.deep.equal(expected.sort());
  });

  it('accepts each id as a separate order detail and as a separate adjustment of one SKU', async () => {
    const sku = fresh('confusion');
    await gateway.openSku(sku, 1_000_000);
    const lines = numbered.map(({ id, quantity }) => ({ order_detail_id: id, sku_id: sku, quantity }));
    expect((await post('/v1/deductions', { order_id: 'o', lines })).status).to.equal(201);
    for (const status of [201, 200]) {
      for (const { id, quantity } of numbered)
        expect((await adjust(sku, { adjustment_id: id, delta: quantity })).status, JSON.stringify(id)).to.equal(status);
    }
    expect((await get(`/v1/skus/${sku}`)).body.leaved_amount).to.equal(1_000_000);
    const { body } = await post('/v1/deductions/lookup', {
      lines: lines.map(({ order_detail_id, sku_id }) => ({ order_detail_id, sku_id })),
    });
    expect((body.lines as { quantity: number }[]).map(({ quantity }) => quantity)).to.deep.equal(
      numbered.map(({ quantity }) => quantity),
    );
  });

  it('refuses each id as the order of a line that another id owns', async () => {
    const sku = fresh('confusion');
    await gateway.openSku(sku, 10);
    const [first = ''] = legal;
    const line = { order_detail_id: 'a', sku_id: sku, quantity: 1 };
    expect((await post('/v1/deductions', { order_id: first, lines: [line] })).status).to.equal(201);
    for (const order_id of legal.slice(1))
      expect((await post('/v1/deductions', { order_id, lines: [line] })).body.code).to.equal('idempotency_conflict');
    expect((await get(`/v1/skus/${sku}`)).body.leaved_amount).to.equal(9);
  });
});
