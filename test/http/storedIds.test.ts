import { expect } from 'chai';
import { SlotMap } from '../../src/core/slots.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { ADMIN_ROUTES, expectDeclared, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { JSON_HEADERS, rawClient } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';

/** Ids that no URL client can address in a path. Earlier versions accepted them. */
const UNADDRESSABLE = ['.', '..'];

describe('the ids . and ..', () => {
  const client = rawClient();
  let gateway: TestGateway;

  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  const send = async (base: string, method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<Answer> => {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_HEADERS };
    const answer = await client.call(base, { method, path, ...content });
    expectDeclared(base === gateway.publicUrl ? PUBLIC_ROUTES : ADMIN_ROUTES, method, path, answer);
    return answer;
  };
  const get = (path: string) => send(gateway.publicUrl, 'GET', path);
  const post = (path: string, body: unknown) => send(gateway.publicUrl, 'POST', path, body);

  /** Writes the rows of an earlier version: a SKU of 5 units, and an order line that took 3 of them. */
  async function insertRows(sku_id: string, id: string, opensSku: boolean): Promise<void> {
    const session = await sideSession(new SlotMap(stack().initialShards).shardOf(sku_id));
    const bytes = Buffer.from(sku_id);
    try {
      const opening = 'INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES (?, 0, 5, 5)';
      if (opensSku) await session.query(opening, [bytes]);
      const flow = 'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 3)';
      await session.query(flow, [bytes, Buffer.from(id), Buffer.from(id)]);
      await session.query('UPDATE stock SET leaved_amount = leaved_amount - 3 WHERE sku_id = ?', [bytes]);
    } finally {
      session.destroy();
    }
  }

  for (const id of UNADDRESSABLE) {
    it(`${id} is rejected as a new id, and in a path`, async () => {
      const sku = fresh('stored');
      await gateway.openSku(sku, 5);
      const line = { order_detail_id: 'd', sku_id: sku, quantity: 1 };
      const order = (ids: Partial<typeof line>, order_id = 'o') =>
        post('/v1/deductions', { order_id, lines: [{ ...line, ...ids }] });
      expectProblem(await order({}, id), 400, 'order_id');
      expectProblem(await order({ sku_id: id }), 400, 'lines[0].sku_id');
      expectProblem(await order({ order_detail_id: id }), 400, 'lines[0].order_detail_id');
      expectProblem(await post('/v1/returns', { return_id: id, ...line }), 400, 'return_id');
      const adjustment = { adjustment_id: id, delta: 1 };
      const adjusted = await send(gateway.adminUrl, 'POST', `/v1/skus/${sku}/adjustments`, adjustment);
      expectProblem(adjusted, 400, 'adjustment_id');
      expect(adjusted.body.errors[0].message).to.contain('not "." or ".."').and.contain(`found "${id}"`);
      for (const inPath of [id, id.replaceAll('.', '%2E'), id.replaceAll('.', '%2e')]) {
        expectProblem(await send(gateway.adminUrl, 'PUT', `/v1/skus/${inPath}`, { leaved_amount: 5 }), 400, 'sku_id');
        expectProblem(await get(`/v1/skus/${inPath}`), 400, 'sku_id');
        expectProblem(await get(`/v1/deductions/${inPath}?sku_id=${sku}`), 400, 'order_detail_id');
      }
      expect((await get(`/v1/skus/${sku}`)).body.leaved_amount).to.equal(5);
    });

    it(`${id} stays readable and returnable in rows that have it`, async () => {
      await insertRows(id, id, true);
      const key = { order_detail_id: id, sku_id: id };
      const found = await post('/v1/deductions/lookup', { lines: [key] });
      expect(found.body.lines[0]).to.include({ ...key, order_id: id, status: 'deducted', quantity: 3 });
      const returned = await post('/v1/returns', { return_id: 'r', ...key, quantity: 1 });
      const units = { quantity: 1, returned: 1, returnable: 2 };
      expect([returned.status, returned.body]).to.deep.equal([201, { return_id: 'r', ...key, ...units }]);
      const available = await post('/v1/availability', { sku_ids: [id], consistency: 'primary' });
      expect(available.body.skus[0]).to.include({ sku_id: id, leaved_amount: 3 });
      const cancelled = await post('/v1/cancellations', { order_id: id, lines: [key] });
      expect([cancelled.status, cancelled.body.lines]).to.deep.equal([200, [key]]);
      const reconciled = await send(gateway.adminUrl, 'POST', '/v1/reconciliations', { sku_id: id });
      expect([reconciled.status, reconciled.body.sku_count, reconciled.body.differences]).to.deep.equal([200, 1, []]);
    });

    it(`${id} stays readable in the journal, one entry a page, and in the query of a look-up`, async () => {
      const sku = fresh('stored');
      await gateway.openSku(sku, 5);
      await insertRows(sku, id, false);
      const first = await get(`/v1/skus/${sku}/flows?limit=1`);
      expect(first.body.flows[0]).to.include({ kind: 'deduction', order_id: id, order_detail_id: id });
      const second = await get(`/v1/skus/${sku}/flows?limit=1&cursor=${String(first.body.next_cursor)}`);
      expect([second.status, second.body.flows[0]?.kind]).to.deep.equal([200, 'opening']);
      // A query may carry any text, so a look-up by this SKU is valid.
      expect((await get(`/v1/deductions/none?sku_id=${id}`)).body.code).to.equal('unknown_deduction');
    });
  }
});
