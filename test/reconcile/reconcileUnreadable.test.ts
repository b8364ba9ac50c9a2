import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import { openReportShards } from '../../src/mysql/books/reportShards.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { reconcile } from '../../src/service/reconcile/reconcile.ts';
import type { Reconciled } from '../../src/service/reconcile/reconcile.ts';
import { Routing } from '../../src/service/routing/routing.ts';
import { runFile } from '../support/run/command.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const SHARDS = 3;
const AWAY = 1;
/** Longer than the time limit of a test: a test that waits this long for one answer fails. */
const FOREVER_MS = 3_600_000;
/** More than one page of carts, and more records without lines than one statement reads. */
const MANY = 2_300;

interface Difference {
  readonly kind: string;
  readonly shard: number;
  readonly sku_id: string;
}

interface CartRow {
  readonly order_id: string;
  readonly state: string;
  readonly lines: readonly (readonly [string, string, number])[];
}

const recordValues = ({ order_id, state, lines }: CartRow): string =>
  `('${order_id}', 1, 'token', '${state}', '${JSON.stringify(lines)}', NOW(6) - INTERVAL 1 HOUR)`;

const inWords = (differences: readonly Difference[]): string[] =>
  differences.map(({ kind, shard, sku_id }) => `${kind} on ${shard}: ${sku_id}`).sort();

describe('reconciliation with one shard that cannot be read', () => {
  let own: OwnShards;
  let proxy: WireProxy;

  beforeEach(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    const { host = '', port = 0 } = (await own.load())[AWAY]?.address ?? {};
    proxy = await startWireProxy({ host, port });
    own.rewrite(({ shards }) => Object.assign(shards[AWAY]?.primary ?? {}, { host: '127.0.0.1', port: proxy.port }));
  });
  afterEach(async () => {
    await own.drop();
    await proxy.close();
  });

  const id = (shard: number, name: string): string => skuOn(shard, fresh(name), SHARDS);
  const values = (rows: readonly (readonly (string | number)[])[]): string =>
    rows
      .map((row) => `(${row.map((value) => (typeof value === 'number' ? value : `'${value}'`)).join(', ')})`)
      .join(', ');
  const stock = (shard: number, sku_id: string, opening: number, leaved: number, held = 0) =>
    own.query(
      shard,
      `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount, held_amount)
       VALUES ${values([[sku_id, 0, opening, leaved, held]])}`,
    );
  const records = (shard: number, rows: readonly CartRow[]) =>
    own.query(
      shard,
      `INSERT INTO cart (order_id, attempt, token, state, order_lines, decided_at)
       VALUES ${rows.map(recordValues).join(', ')}`,
    );
  /** Reconciles in this process; `around` may observe or replace the reads of the auditor. */
  const reconciled = async (around: (auditor: ShardAuditor) => void): Promise<Reconciled> => {
    const books = openReportShards({
      shards: await own.load(),
      initialShards: SHARDS,
      statementMs: FOREVER_MS,
      relaxedAllowed: true,
    });
    try {
      const reader = new ShardReader(books.shards);
      const auditor = new ShardAuditor(books.shards);
      around(auditor);
      const parts = { routing: new Routing(new SlotMap(SHARDS), reader, SHARDS), auditor, reader };
      const result = await reconcile(parts, {
        shardCount: SHARDS,
        sku_id: null,
        deadlineMs: performance.now() + FOREVER_MS,
      });
      return result.is === 'reconciled' ? result : expect.fail(`the result is ${result.is}`);
    } finally {
      books.close();
    }
  };
  const faulty = ({ shards }: Pick<Reconciled, 'shards'>): number[] =>
    shards.flatMap(({ shard, fault }) => (fault === null ? [] : [shard]));

  /**
   * Breaks a row and a hold on every shard, and records on every shard a cart whose lines are missing on all shards.
   * @returns the differences that a run over all shards finds, and those that a run without the shard `AWAY` finds
   */
  async function breakAll(): Promise<{ readonly all: readonly string[]; readonly here: readonly string[] }> {
    const all: string[] = [];
    const here: string[] = [];
    const skus = [0, 1, 2].map((shard) => id(shard, 'sku'));
    for (const [shard, sku_id] of skus.entries()) {
      await stock(shard, sku_id, 10, 10 + 1 - 3, 3);
      all.push(`leaved_amount on ${shard}: ${sku_id}`);
      if (shard !== AWAY) here.push(`leaved_amount on ${shard}: ${sku_id}`);
    }
    for (const recorded of [0, 1, 2]) {
      const order_id = id(recorded, 'order');
      await records(recorded, [{ order_id, state: 'committed', lines: skus.map((sku_id) => [sku_id, 'missing', 2]) }]);
      const holder = id(recorded, 'holder');
      await records(recorded, [
        { order_id: holder, state: 'aborted', lines: skus.map((sku_id) => [sku_id, holder, 1]) },
      ]);
      for (const [shard, sku_id] of skus.entries()) {
        await own.query(
          shard,
          `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status)
           VALUES ${values([[sku_id, holder, holder, 1, 1, 'pending']])}`,
        );
        await own.query(
          shard,
          `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, created_at)
           VALUES ('${sku_id}', '${holder}', '${holder}', 1, NOW(6) - INTERVAL 1 HOUR)`,
        );
        const found = [`cart_line on ${shard}: ${sku_id}`, `hold_left on ${shard}: ${sku_id}`];
        all.push(...found);
        if (shard !== AWAY && recorded !== AWAY) here.push(...found);
      }
    }
    return { all: all.sort(), here: here.sort() };
  }

  const AWAYS: readonly (readonly [how: string, leave: () => unknown, comeBack: () => unknown])[] = [
    [
      'not to be served',
      () => own.query(AWAY, 'UPDATE shard SET hash_version = 9'),
      () => own.query(AWAY, 'UPDATE shard SET hash_version = 1'),
    ],
    [
      'refused',
      () => own.rewrite(({ shards }) => Object.assign(shards[AWAY]?.primary ?? {}, { port: 1 })),
      () => own.rewrite(({ shards }) => Object.assign(shards[AWAY]?.primary ?? {}, { port: proxy.port })),
    ],
    ['silent', () => proxy.setSilent(true), () => proxy.setSilent(false)],
  ];
  // Each takes seconds.
  for (const [how, leave, comeBack] of LONG ? AWAYS : AWAYS.slice(0, 1)) {
    it(`judges the records of the other shards when it is ${how}, and reports it and no other`, async () => {
      const { all, here } = await breakAll();
      await leave();
      const { code, stdout, stderr } = await runFile('src/commands/reconcile.ts', ['--json'], own.environment);
      expect(stdout, stderr).to.match(/^\{/);
      const report = JSON.parse(stdout) as Reconciled;
      expect(inWords(report.differences)).to.deep.equal(here);
      expect(faulty(report)).to.deep.equal([AWAY]);
      expect([code, stderr.match(/not read: own-\d \(/g)]).to.deep.equal([1, ['not read: own-1 (']]);
      await comeBack();
      expect(
        inWords(
          (JSON.parse((await runFile('src/commands/reconcile.ts', ['--json'], own.environment)).stdout) as Reconciled)
            .differences,
        ),
      ).to.deep.equal(all);
    });
  }

  it('reports a shard whose cart lines could not be read, and over HTTP gives no answer', async () => {
    const [sold, order_id] = [id(AWAY, 'sold'), id(0, 'order')];
    await stock(AWAY, sold, 10, 8);
    await own.query(
      AWAY,
      `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status)
       VALUES ${values([[sold, 'line', order_id, 2, 1, 'deducted']])}`,
    );
    await records(0, [{ order_id, state: 'committed', lines: [[sold, 'line', 2]] }]);
    const result = await reconciled((auditor) => {
      const read = auditor.readFlows.bind(auditor);
      auditor.readFlows = (...given) => (given[0] === AWAY ? Promise.reject(new Error('cut')) : read(...given));
    });
    expect([result.differences, result.shards[AWAY]]).to.deep.equal([
      [],
      { shard: AWAY, sku_count: 1, flow_count: 1, fault: 'cut' },
    ]);
    expect(faulty(result)).to.deep.equal([AWAY]);

    const gateway = await startTestGateway({}, own);
    try {
      expect((await gateway.adminPost('/v1/reconciliations', {})).body.differences).to.deep.equal([]);
      proxy.setSilent(true);
      expect((await gateway.adminPost('/v1/reconciliations', {})).body).to.include({
        code: 'overloaded',
        detail: `not every shard could be read: ${AWAY}`,
      });
    } finally {
      await gateway.stop();
    }
  });

  it('does not wait for a shard that falls silent during the run, under any statement limit', async function () {
    if (!LONG) this.skip();
    const { here } = await breakAll();
    // A read of the flows then waits until the lock is released.
    const { user, password, schema: database } = (await own.load())[AWAY]?.address ?? {};
    const holder = await mysql.createConnection({
      host: '127.0.0.1',
      port: proxy.port,
      user,
      password,
      database,
    } as mysql.ConnectionOptions);
    await holder.query('LOCK TABLES flow WRITE');
    const result = await reconciled((auditor) => {
      const read = auditor.audit.bind(auditor);
      auditor.audit = (...given) => {
        if (given[0] === AWAY) setTimeout(() => proxy.setSilent(true), 1_000);
        return read(...given);
      };
    }).finally(() => holder.destroy());
    expect(inWords(result.differences)).to.deep.equal(here);
    expect(faulty(result)).to.deep.equal([AWAY]);
    // Either may come first, because a server that only seems silent ends such a session.
    expect(result.shards[AWAY]?.fault).to.match(/stopped answering while it was read|closed the connection/);
  });

  it('finds the few wrong carts among many, page by page, including carts without lines', async () => {
    const sku_id = id(2, 'sku');
    const wrong = new Set([0, 499, 500, 999, 1_000, MANY - 1]);
    const order_ids = Array.from({ length: MANY }, (_, number) => id(0, `many-${String(number).padStart(5, '0')}`));
    const bare = Array.from({ length: MANY }, (_, number) => id(0, `bare-${String(number).padStart(5, '0')}`));
    await stock(2, sku_id, 10_000, 10_000 - MANY);
    const sold = order_ids
      .flatMap((order_id, number) => (wrong.has(number) ? [] : [order_id]))
      .concat(bare.filter((_, number) => wrong.has(number)));
    await own.query(
      2,
      `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status)
       VALUES ${values(sold.map((order_id) => [sku_id, `d-${order_id}`, order_id, 1, 1, 'deducted']))}`,
    );
    await records(
      0,
      order_ids.map((order_id) => ({ order_id, state: 'committed', lines: [[sku_id, `d-${order_id}`, 1]] })),
    );
    await records(
      0,
      bare.map((order_id) => ({ order_id, state: 'aborted', lines: [] })),
    );
    const { differences } = await reconciled(() => undefined);
    const about = (kind: string): string[] =>
      differences
        .filter((difference) => difference.kind === kind)
        .map(({ cart }) => cart?.order_id ?? '')
        .sort();
    expect(about('cart_line')).to.deep.equal(order_ids.filter((_, number) => wrong.has(number)));
    expect(about('aborted_line')).to.deep.equal(bare.filter((_, number) => wrong.has(number)));
    expect(differences).to.have.length(2 * wrong.size);
  });
});
