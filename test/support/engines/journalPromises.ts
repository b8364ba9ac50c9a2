import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { JournalEntry, JournalPosition } from '../../../src/core/books/journal.ts';
import { ENTRIES_LIMIT } from '../../../src/core/books/journal.ts';
import { decodeCursor, encodeCursor } from '../../../src/http/cursor.ts';
import type { Address } from '../../../src/mysql/connection/connection.ts';
import { journalStatement } from '../../../src/mysql/sql/flows/readJournal.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { BUSY, endOf, entriesOf, FEW_FLOWS, leftOf, otherSku, POINTED } from '../rows/longJournal.ts';
import type { JournalSize } from '../rows/longJournal.ts';
import { costOf, expectIndexed, planOf } from '../rows/statementCost.ts';

/** A gateway in front of one shard that `fillJournal` filled. */
export interface JournalBench {
  readonly gateway: TestGateway;
  readonly address: Address;
  readonly size: JournalSize;
}

const LIMIT = 50;
/** `LIMIT` rows from each of three tables, and more flows, because some have no effect. */
const ROWS_MAX = 3 * LIMIT + 100;
/** Also includes the flow of every return, and a few keys. */
const READ_MAX = ROWS_MAX + LIMIT + 25;
/** The number of consecutive pages that are read. */
const WALK = 10;
/** Below this pair all entries fit on one page. */
const LAST = 20;

interface Page {
  readonly flows: JournalEntry[];
  readonly next_cursor: string | null;
}

/** Reads a page over HTTP. */
export async function readPage(
  { gateway }: JournalBench,
  sku_id: string,
  after: JournalPosition | string | null,
  limit = LIMIT,
): Promise<Page> {
  const cursor = after === null || typeof after === 'string' ? after : encodeCursor(after);
  const { status, text, body } = await gateway.get(
    `/v1/skus/${sku_id}/flows?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`,
  );
  expect(status, text).to.equal(200);
  return body as Page;
}

/** The promises of pages of a long journal, near its start and far in. @param now the bench of the running test */
export function journalPromises(now: () => JournalBench): void {
  let session: mysql.Connection;
  beforeEach(async () => {
    const { host, port, user, password, schema: database } = now().address;
    session = await mysql.createConnection({ host, port, user, password, database });
  });
  afterEach(() => session.destroy());

  /** Explains and counts the statement that the gateway sends for a page that begins after `after`. */
  const expectCheap = async (sku_id: string, after: JournalPosition | null): Promise<void> => {
    const statement = journalStatement({ sku_id, after, limit: LIMIT, holdsAfter: '', holdsMax: 100 });
    const plan = await planOf(session, statement);
    expectIndexed(plan);
    const ranges = plan.filter(({ key }) => key === 'by_time').map(({ table }) => table);
    expect(ranges.sort(), JSON.stringify(plan)).to.deep.equal(['adjustment', 'flow', 'flow_return']);
    const cost = await costOf(session, statement);
    const text = `${sku_id} ${JSON.stringify(after)}: ${JSON.stringify(cost)}`;
    expect(cost.rows, text).to.be.at.most(ROWS_MAX + 4);
    expect(cost.read, text).to.be.at.most(READ_MAX);
    expect([cost.sorted, cost.temporaryTables], text).to.deep.equal([0, 0]);
  };

  /** Compares consecutive pages with the entries that were written. @returns the last cursor */
  const walk = async (
    after: JournalPosition | null,
    entries: Iterator<JournalEntry>,
    pages: number,
    limit: number,
  ): Promise<string | null> => {
    let cursor: string | null = after === null ? null : encodeCursor(after);
    for (let page = 0; page < pages; page += 1) {
      const { flows, next_cursor } = await readPage(now(), BUSY, cursor, limit);
      expect(flows, `page ${page}`).to.have.length(limit);
      expect(flows, `page ${page}`).to.deep.equal(flows.map(() => entries.next().value));
      cursor = next_cursor;
    }
    return cursor;
  };
  const pairs = (): number => now().size.busyFlows / 2;

  it('return the written entries in order, from the newest one and from positions far in', async () => {
    const { size } = now();
    for (const limit of [ENTRIES_LIMIT, LIMIT]) {
      await walk(null, entriesOf(size), WALK, limit);
      for (const part of [0.5, 0.2]) {
        const pair = Math.floor(pairs() * part);
        await walk(endOf(size, pair), entriesOf(size, pair), WALK, limit);
      }
    }
    expect(await readPage(now(), BUSY, endOf(size, LAST))).to.deep.equal({
      flows: [...entriesOf(size, LAST)],
      next_cursor: null,
    });
    expect((await now().gateway.get(`/v1/skus/${BUSY}`)).body.leaved_amount).to.equal(leftOf(size));
  });

  it('read one index range per table, and no more rows far in than at the beginning', async () => {
    const { size } = now();
    await expectCheap(BUSY, null);
    for (const part of [0.999, 0.5, 0.1, 0.001]) {
      const at = endOf(size, Math.floor(pairs() * part));
      const moment = { ...at, created_at: at.created_at.replace(/...Z$/, '500Z') };
      for (const after of [
        at,
        { ...moment, journal: 'return', ids: [at.ids[0], 'r'] } as const,
        { ...moment, journal: 'adjustment', ids: ['a', ''] } as const,
      ])
        await expectCheap(BUSY, after);
    }
    const cursor = await walk(
      endOf(size, Math.floor(pairs() * 0.3)),
      entriesOf(size, Math.floor(pairs() * 0.3)),
      WALK,
      LIMIT,
    );
    await expectCheap(BUSY, decodeCursor(cursor ?? ''));
  });

  it('are as cheap for the other SKUs of the shard', async () => {
    const { otherSkus, otherFlows } = now().size;
    const sku_id = otherSku(otherSkus - 1);
    await expectCheap(sku_id, null);
    const kinds = new Map<string, number>();
    for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
      const page: Page = await readPage(now(), sku_id, cursor, ENTRIES_LIMIT);
      for (const { kind } of page.flows) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      cursor = page.next_cursor;
    }
    expect(kinds.get('deduction')).to.equal(otherFlows);
    expect([...kinds.keys()].sort()).to.deep.equal(['deduction', 'opening', 'return']);
  });

  it('do not read pointers to other shards, however many a split SKU has left', async () => {
    await expectCheap(POINTED, null);
    const { flows, next_cursor } = await readPage(now(), POINTED, null);
    expect([next_cursor, flows.map(({ kind }) => kind)]).to.deep.equal([
      null,
      [...Array.from({ length: FEW_FLOWS }, () => 'deduction'), 'opening'],
    ]);
    const { created_at = '', order_detail_id = '' } = flows.at(-2) ?? {};
    await expectCheap(POINTED, { created_at, journal: 'flow', ids: [order_detail_id, ''] });
  });
}
