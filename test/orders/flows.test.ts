import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { slotOf } from '../../src/core/slots.ts';
import { encodeCursor } from '../../src/http/cursor.ts';
import { journalStatement } from '../../src/mysql/sql/flows/readJournal.ts';
import type { JournalPosition } from '../../src/core/books/journal.ts';
import { badCursors } from '../support/inputs/badCursors.ts';
import { expectDeclared, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { insertPairedFlows } from '../support/rows/pairedFlows.ts';
import { stack } from '../support/run/setup.ts';
import { costOf, planOf } from '../support/rows/statementCost.ts';
import { onEachShard } from '../support/rows/tables.ts';
import { skuOn } from '../support/engines/traffic.ts';

interface Entry {
  readonly kind: string;
  readonly effect: number;
  readonly quantity: number;
  readonly created_at: string;
}

interface Page {
  readonly flows: Entry[];
  readonly next_cursor: string | null;
}

describe('the journal of a SKU', () => {
  let gateway: TestGateway;
  let own: OwnShards;
  before(async () => {
    own = await ownShards({ count: 2, migrated: true });
    gateway = await startTestGateway();
  });
  after(async () => {
    await gateway.stop();
    await own.drop();
  });

  const path = (sku_id: string, query = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}/flows${query}`;
  const page = async (sku_id: string, limit: number, cursor: string | null, from = gateway): Promise<Page> => {
    const where = path(sku_id, `?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`);
    const answer = await from.get(where);
    expect(answer.status, answer.text).to.equal(200);
    expectDeclared(PUBLIC_ROUTES, 'GET', where, answer);
    expect(answer.body.flows.length).to.be.at.most(limit);
    return answer.body as Page;
  };
  const pages = async (sku_id: string, limit: number): Promise<Entry[]> => {
    const all: Entry[] = [];
    for (let cursor: string | null = null; ;) {
      const { flows, next_cursor } = await page(sku_id, limit, cursor);
      all.push(...flows);
      if (next_cursor === null) return all;
      cursor = next_cursor;
    }
  };
  const left = async (sku_id: string): Promise<number> =>
    (await gateway.get(`/v1/skus/${sku_id}`)).body.leaved_amount as number;
  const sum = (entries: readonly Entry[]): number => entries.reduce((total, { effect }) => total + effect, 0);
  /** Repeats a request until its answer is definite, as shops do. */
  const done = async (send: () => ReturnType<TestGateway['post']>): Promise<void> => {
    let answer = await send();
    while (answer.status === 503) answer = await send();
    expect(answer.status, answer.text).to.be.below(300);
  };

  /** One entry of every kind, the oldest first. */
  const history = async (sku_id: string, other: string): Promise<void> => {
    const line = (order_detail_id: string, quantity: number) => ({ sku_id, order_detail_id, quantity });
    const key = (order_detail_id: string) => ({ sku_id, order_detail_id });
    await gateway.openSku(sku_id, 20);
    await gateway.openSku(other, 20);
    await done(() => gateway.deduct(line('d1', 3), 'o1'));
    await done(() =>
      gateway.post('/v1/deductions', { order_id: 'o2', lines: [line('d2', 2), { ...line('d3', 1), sku_id: other }] }),
    );
    await done(() => gateway.post('/v1/returns', { return_id: 'r1', ...line('d1', 1) }));
    await done(() =>
      gateway.adminPost(`/v1/skus/${sku_id}/adjustments`, { adjustment_id: 'a1', delta: 7, reason: 'a box' }),
    );
    await done(() => gateway.adminPost(`/v1/skus/${sku_id}/adjustments`, { adjustment_id: 'a2', delta: -4 }));
    // Cancellations of the rest of a deduction, of a line never deducted (a tombstone), and of a line already returned.
    await done(() => gateway.post('/v1/cancellations', { order_id: 'o1', lines: [key('d1')] }));
    await done(() => gateway.post('/v1/cancellations', { order_id: 'o4', lines: [key('never')] }));
    await done(() => gateway.deduct(line('d5', 1), 'o5'));
    await done(() => gateway.post('/v1/returns', { return_id: 'r5', ...line('d5', 1) }));
    await done(() => gateway.post('/v1/cancellations', { order_id: 'o5', lines: [key('d5')] }));
  };

  it('lists every change with its ids and effect, newest first; the effects add up to the units left', async () => {
    const sku_id = skuOn(3, fresh('journal'));
    await history(sku_id, skuOn(9, fresh('journal')));
    const { flows, next_cursor } = await page(sku_id, 50, null);
    expect(next_cursor).to.equal(null);
    expect(flows.map(({ created_at: _, ...entry }) => entry)).to.deep.equal([
      { kind: 'return', return_id: 'r5', order_id: 'o5', order_detail_id: 'd5', quantity: 1, effect: 1 },
      { kind: 'deduction', order_id: 'o5', order_detail_id: 'd5', quantity: 1, effect: -1 },
      { kind: 'cancellation', order_id: 'o1', order_detail_id: 'd1', quantity: 2, effect: 2 },
      { kind: 'adjustment', adjustment_id: 'a2', reason: null, quantity: 4, effect: -4 },
      { kind: 'adjustment', adjustment_id: 'a1', reason: 'a box', quantity: 7, effect: 7 },
      { kind: 'return', return_id: 'r1', order_id: 'o1', order_detail_id: 'd1', quantity: 1, effect: 1 },
      { kind: 'deduction', order_id: 'o2', order_detail_id: 'd2', quantity: 2, effect: -2 },
      { kind: 'deduction', order_id: 'o1', order_detail_id: 'd1', quantity: 3, effect: -3 },
      { kind: 'opening', quantity: 20, effect: 20 },
    ]);
    for (const { created_at } of flows) expect(created_at).to.match(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(sum(flows))
      .to.equal(await left(sku_id))
      .and.to.equal(21);
    expect((await gateway.get(path(sku_id))).body).to.deep.equal({ flows, next_cursor });
  });

  it('omits the holds of undecided carts, and lists a cart as soon as it was answered', async () => {
    const [sku_id, other] = [skuOn(3, fresh('held')), skuOn(9, fresh('held'))];
    const order_id = skuOn(3, fresh('open cart'));
    await gateway.openSku(sku_id, 9);
    await gateway.openSku(other, 9);
    const onShard = async (sql: string): Promise<void> => {
      const { shards } = stack();
      await onEachShard(shards.slice(3, 4), (connection) => connection.query(sql));
    };
    await onShard(`INSERT INTO cart (order_id, attempt, token, order_lines) VALUES ('${order_id}', 1, 'token', '[]')`);
    await onShard(
      `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status)
       VALUES ('${sku_id}', 'held', '${order_id}', 2, 1, 'pending')`,
    );
    await onShard(
      `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
       VALUES ('${sku_id}', 'held', '${order_id}', 1)`,
    );
    await onShard(
      `UPDATE stock SET leaved_amount = leaved_amount - 2, held_amount = held_amount + 2
       WHERE sku_id = '${sku_id}'`,
    );
    for (let number = 0; number < 5; number += 1) {
      // As young as possible, so that no other operation aborts it meanwhile.
      await onShard(`UPDATE cart SET created_at = NOW(6) + INTERVAL 5 SECOND WHERE order_id = '${order_id}'`);
      const lines = [sku_id, other].map((sku) => ({ sku_id: sku, order_detail_id: `cart-${number}`, quantity: 1 }));
      await done(() => gateway.post('/v1/deductions', { order_id: `${order_id}-${number}`, lines }));
      for (const sku of [sku_id, other])
        expect((await page(sku, 1, null)).flows[0]).to.include({
          kind: 'deduction',
          order_detail_id: `cart-${number}`,
        });
    }
    expect(sum(await pages(sku_id, 2)))
      .to.equal(4)
      .and.to.equal((await left(sku_id)) + 2);
    await onShard(`UPDATE cart SET created_at = NOW(6) - INTERVAL 1 MINUTE WHERE order_id = '${order_id}'`);
    await eventually('the hold is undone', 5_000, async () => (await left(sku_id)) === 4);
    expect(sum(await pages(sku_id, 2))).to.equal(4);
  });

  it('returns pages of every length that together are the whole list, while writes go on', async () => {
    const sku_id = skuOn(5, fresh('paged'));
    await history(sku_id, skuOn(6, fresh('paged')));
    // Lines of one order are written in the same microsecond.
    const lines = Array.from({ length: 6 }, (_, index) => ({ sku_id, order_detail_id: `many-${index}`, quantity: 1 }));
    await done(() => gateway.post('/v1/deductions', { order_id: 'many', lines }));
    for (const { order_detail_id } of lines)
      await done(() => gateway.post('/v1/returns', { return_id: 'back', sku_id, order_detail_id, quantity: 1 }));
    let writing = true;
    const write = async (client: number): Promise<void> => {
      for (let number = 0; writing; number += 1) {
        const line = { sku_id, order_detail_id: `new-${client}-${number}`, quantity: 1 };
        await gateway.deduct(line);
        await gateway.post('/v1/returns', { return_id: 'back', ...line });
      }
    };
    const writers = [write(0), write(1)];
    try {
      for (const limit of [1, 2, 3, 4, 5, 7, 11, 13, 16, 17, 18, 50]) {
        const oldest = (await page(sku_id, 500, null)).flows.slice(-22);
        const all = (await pages(sku_id, limit)).map((entry) => JSON.stringify(entry));
        expect(new Set(all).size, `limit ${limit}`).to.equal(all.length);
        expect(all.slice(-oldest.length), `limit ${limit}`).to.deep.equal(oldest.map((entry) => JSON.stringify(entry)));
        expect(all.at(-1)).to.contain('opening');
      }
    } finally {
      writing = false;
      await Promise.all(writers);
    }
    expect(sum(await pages(sku_id, 9))).to.equal(await left(sku_id));
  });

  it('rejects invalid limits and cursors, and unknown SKUs', async () => {
    const sku_id = skuOn(2, fresh('refusing'));
    await history(sku_id, skuOn(1, fresh('refusing')));
    const codeOf = async (query: string, sku = sku_id): Promise<string> => {
      const { status, body } = await gateway.get(path(sku, query));
      return `${status} ${body.code ?? ''} ${(body.errors ?? []).map((error: { path: string }) => error.path).join()}`;
    };
    for (const limit of ['', '0', '501', '-1', '1.5', '1e2', '05', 'ten', '%2050']) {
      expect(await codeOf(`?limit=${limit}`), limit).to.equal('400 invalid_request limit');
    }
    const { next_cursor } = await page(sku_id, 2, null);
    const good = next_cursor ?? '';
    for (const cursor of badCursors(good))
      expect(await codeOf(`?cursor=${cursor}`), cursor).to.equal('400 invalid_request cursor');
    expect(await codeOf(`?cursor=${good}`)).to.equal('200  ');
    expect(await codeOf('?kursor=a')).to.equal('400 invalid_request kursor');
    expect(await codeOf('', fresh('unknown'))).to.equal('404 unknown_sku ');
    expect(await codeOf(`?cursor=${good}`, fresh('unknown'))).to.equal('404 unknown_sku ');
  });

  describe('on shards of its own', () => {
    it('is read from the shard that owns the SKU now', async () => {
      const sku_id = skuOn(0, fresh('moved'), 2);
      const [first, second] = [await startTestGateway({}, own), await startTestGateway({}, own)];
      try {
        await own.query(0, `DELETE FROM slot WHERE slot = ${slotOf(sku_id)}`);
        await own.query(1, `INSERT INTO slot (slot, epoch) VALUES (${slotOf(sku_id)}, 1)`);
        await first.openSku(sku_id, 5);
        expect((await page(sku_id, 50, null, second)).flows.map(({ kind }) => kind)).to.deep.equal(['opening']);
      } finally {
        await Promise.all([first.stop(), second.stop()]);
      }
    });

    it('reads a page of a long journal by its index, without a scan of the whole journal', async () => {
      const sku_id = skuOn(0, fresh('long'), 2);
      await insertPairedFlows(own, sku_id);
      const at = (journal: JournalPosition['journal']): JournalPosition => ({
        created_at: '2026-01-01T00:20:00.000000Z',
        journal,
        ids: ['d3600', journal === 'return' ? 'r' : ''],
      });
      const {
        host,
        port,
        user,
        password,
        schema: database,
      } = (await own.load())[0]?.address ?? expect.fail('no shard');
      const session = await mysql.createConnection({ host, port, user, password, database });
      try {
        for (const after of [null, at('return'), at('flow'), at('adjustment')]) {
          const statement = journalStatement({ sku_id, after, limit: 150, holdsAfter: '', holdsMax: 100 });
          const text = JSON.stringify(after);
          const plan = (await planOf(session, statement)).filter(({ table }) =>
            ['flow', 'flow_return', 'adjustment'].includes(String(table)),
          );
          const rangeReads = plan.filter(({ key }) => key === 'by_time');
          expect(rangeReads.map(({ table }) => String(table)).sort(), text).to.deep.equal([
            'adjustment',
            'flow',
            'flow_return',
          ]);
          for (const { Extra } of plan) expect(String(Extra), text).not.to.contain('filesort');
          const { rows, read } = await costOf(session, statement);
          expect(rows, text).to.be.within(400, 560);
          expect(read, text).to.be.below(1_500);
        }
      } finally {
        session.destroy();
      }
    });
  });

  it('has cursors that fit into a URL, even with the longest ids', () => {
    const ids = ['"'.repeat(64), '\\'.repeat(64)] as const;
    expect(encodeCursor({ created_at: '2026-01-01T00:20:00.000000Z', journal: 'return', ids }).length).to.be.below(500);
  });
});
