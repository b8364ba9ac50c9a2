import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { progressBar } from '../../src/commands/support/progress.ts';
import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';
import type { JournalPosition } from '../../src/core/books/journal.ts';
import { journalStatement } from '../../src/mysql/sql/flows/readJournal.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import { journalPromises, readPage } from '../support/engines/journalPromises.ts';
import type { JournalBench } from '../support/engines/journalPromises.ts';
import { BUSY, endOf, fillJournal, stepsOf } from '../support/rows/longJournal.ts';
import { costOf, planOf } from '../support/rows/statementCost.ts';

const SIZE = { busyFlows: 5_000_000, otherSkus: 50_000, otherFlows: 100, pointers: 1_000_000 };
/** How often each page is timed. */
const TIMES = 41;
const TIMEOUT_MS = 3_600_000;

describe('pages of a SKU with 5 million flows, beside 5 million flows of other SKUs on its shard', function () {
  this.timeout(TIMEOUT_MS);
  let stack: Stack | null = null;
  let session: mysql.Connection;
  let bench: JournalBench | null = null;
  const made = (): JournalBench => bench ?? expect.fail('the journal was not filled');

  before(async () => {
    // With the small default redo log the server would flush its pages all the time.
    stack = await startStack({
      servers: 1,
      shardCount: 1,
      dataDirectory: '.local',
      onProgress: () => undefined,
      extraArguments: ['--loose-innodb-redo-log-capacity=1G'],
    });
    const { address } = stack.shards[0] ?? expect.fail('no shard');
    const { host, port, user, password, schema: database } = address;
    session = await mysql.createConnection({ host, port, user, password, database });
    const progress = progressBar('filling', stepsOf(SIZE), 'statements');
    const begunMs = performance.now();
    try {
      await fillJournal(session, SIZE, (what) => progress.add(1, what));
    } finally {
      progress.stop();
    }
    const [[sizes]] = await session.query<RowDataPacket[]>(
      `SELECT @@innodb_buffer_pool_size / 1048576 AS pool,
        (SELECT SUM(data_length + index_length) / 1048576
         FROM information_schema.tables WHERE table_schema = DATABASE()) AS data`,
    );
    console.log(
      `      ${stack.cluster.product}: filled in ${seconds(begunMs)} s; ` +
        `${Number(sizes?.['data']).toFixed(0)} MB of tables, ${Number(sizes?.['pool'])} MB of buffer pool`,
    );
    // Pages that were never read come from the disk. Their time is to be measured and not cut off by a deadline.
    bench = {
      gateway: await startTestGateway({ STOCKGATE_REQUEST_MS: '30000', STOCKGATE_STATEMENT_MS: '20000' }, stack),
      address,
      size: SIZE,
    };
  });
  after(async () => {
    session?.destroy();
    await bench?.gateway.stop();
    await stack?.stop();
  });

  it('take about as long deep in the journal as at its beginning; the figures are printed', async () => {
    const [[count]] = await session.query<RowDataPacket[]>(
      "SELECT COUNT(*) AS flows FROM flow WHERE status <> 'moved'",
    );
    expect(Number(count?.['flows'])).to.be.at.least(10_000_000);
    const pairs = SIZE.busyFlows / 2;
    const deep = Math.floor(pairs * 0.1);
    // The read that counts the flows has evicted the first page from memory.
    const [cold] = await timed(() => null, 1);
    const first = await timed(() => null);
    // Each page at a different position that was not read before.
    const apart = await timed((turn) => endOf(SIZE, deep - turn * 1_000));
    const same = await timed(() => endOf(SIZE, deep));
    const words = ([median, longest]: readonly [number, number]): string =>
      `${median.toFixed(1)} ms (longest ${longest.toFixed(1)})`;
    console.log(
      `      first page ${words(first)}, not in memory ${cold.toFixed(1)} ms; ` +
        `one 4,500,000 flows in ${words(same)}, at positions never read before ${words(apart)}`,
    );
    console.log(
      `      deep ÷ first: ${(same[0] / first[0]).toFixed(2)}; ` +
        `never read before ÷ first: ${(apart[0] / first[0]).toFixed(2)}`,
    );
    for (const [name, after] of [
      ['first', null],
      ['deep', endOf(SIZE, deep)],
    ] as const) {
      const statement = journalStatement({ sku_id: BUSY, after, limit: 50, holdsAfter: '', holdsMax: 100 });
      const plan = await planOf(session, statement);
      const lines = plan
        .filter(({ table }) => table !== null)
        .map(({ table, type, key, Extra }) => `${table} ${type} ${key}${Extra === null ? '' : ` (${Extra})`}`);
      console.log(
        `      plan of the ${name} page: ${lines.join('; ')}; ${JSON.stringify(await costOf(session, statement))}`,
      );
    }
  });

  journalPromises(made);

  /** Median and longest time of pages over HTTP, in milliseconds. */
  const timed = async (
    positionOf: (turn: number) => JournalPosition | null,
    turns = TIMES,
  ): Promise<readonly [number, number]> => {
    const times: number[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      const begunMs = performance.now();
      await readPage(made(), BUSY, positionOf(turn));
      times.push(performance.now() - begunMs);
    }
    times.sort((a, b) => a - b);
    return [times[(turns - 1) / 2] ?? Number.NaN, times.at(-1) ?? Number.NaN];
  };
});

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(0);
}
