import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { runFile, startFile } from '../../support/run/command.ts';
import type { Finished } from '../../support/run/command.ts';
import { startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import type { TemporaryFolder } from '../../support/run/temporary.ts';

const SHARDS = 4;
const MANY = process.env['STOCKGATE_TEST_LONG'] === '1' ? 1_000_000 : 40_000;
/** No transaction of an import takes as long. */
const STILL_MS = 1_000;
const TEST_MS = 600_000;

describe('npm run import-stock', () => {
  let own: OwnShards;
  let gateway: TestGateway;
  let folder: TemporaryFolder;
  before(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    gateway = await startTestGateway({}, own);
    folder = temporaryFolder();
  });
  after(async () => {
    folder.remove();
    await gateway.stop();
    await own.drop();
  });

  const write = (name: string, lines: readonly string[]): string =>
    folder.write(name, `${['sku_id,leaved_amount', ...lines].join('\n')}\n`);
  const run = (file: string, ...args: readonly string[]): Promise<Finished> =>
    runFile('src/commands/import-stock.ts', [file, ...args], own.environment);
  const counts = ({ stdout }: Finished): number[] =>
    (stdout.split('\n').find((line) => /^│ \d/.test(line)) ?? '').split('│').slice(1, -1).map(Number);
  const leavedAmount = async (sku_id: string): Promise<unknown> =>
    (await gateway.get(`/v1/skus/${encodeURIComponent(sku_id)}`)).body?.['leaved_amount'];

  it('names every bad row with its line, and imports nothing of the file without --skip-bad', async () => {
    const file = write('bad.csv', [
      'good,5',
      ' padded,1',
      'half,1.5',
      'good,6',
      '"with, comma",7',
      'alone',
      'negative,-1',
      'huge,99999999999999999',
    ]);
    const refused = await run(file);
    expect([refused.code, refused.stdout]).to.deep.equal([1, '']);
    for (const line of [3, 4, 5, 7, 8, 9]) expect(refused.stderr).to.contain(`line ${line}: `);
    expect(refused.stderr)
      .to.contain('6 bad rows')
      .and.to.contain('is already in line 2')
      .and.to.contain('nothing was imported');
    expect((await gateway.get('/v1/skus/good')).status).to.equal(404);
    const skipped = await run(file, '--skip-bad');
    expect([skipped.code, counts(skipped)]).to.deep.equal([1, [8, 2, 0, 0, 0, 6]]);
    expect([await leavedAmount('good'), await leavedAmount('with, comma')]).to.deep.equal([5, 7]);
  });

  it('names the fault of a file that has no valid content', async () => {
    const cases: readonly [string, string | Buffer, RegExp][] = [
      [
        'headless.csv',
        'sku,amount\na,1\n',
        /headless.csv, line 1: the head "sku", "amount" has no column sku_id, leaved_amount, expected/,
      ],
      ['empty.csv', '', /empty.csv: is empty, expected the head sku_id,leaved_amount and at least one row/],
      [
        'latin.csv',
        Buffer.from('sku_id,leaved_amount\ncaf\xe9,1\n', 'latin1'),
        /latin.csv, line 2: "café,1" \(read as ISO 8859-1\) is not UTF-8/,
      ],
    ];
    for (const [name, content, message] of cases) {
      const { code, stderr, stdout } = await run(folder.write(name, content));
      expect([code, stdout], stderr).to.deep.equal([1, '']);
      expect(stderr).to.match(message);
    }
    expect((await run('/nowhere/at-all.csv')).code).to.equal(1);
  });

  it('leaves existing SKUs unchanged, both sold ones and ones with another opening stock', async () => {
    const file = write('again.csv', ['sold,5', 'other,8']);
    await gateway.openSku('other', 9);
    const first = await run(file);
    expect([first.code, counts(first)], first.stderr).to.deep.equal([1, [2, 1, 0, 1, 0, 0]]);
    expect(first.stderr).to.contain('line 3: "other" was opened with 9 units');
    expect((await gateway.deduct({ sku_id: 'sold', order_detail_id: 'd', quantity: 2 })).status).to.equal(201);
    const second = await run(file);
    expect(counts(second)).to.deep.equal([2, 0, 1, 1, 0, 0]);
    expect([await leavedAmount('sold'), await leavedAmount('other')]).to.deep.equal([3, 9]);
  });

  it(`stores each of ${MANY} SKUs once, at its shard, when it is killed halfway and run again`, async () => {
    const file = write(
      'many.csv',
      Array.from({ length: MANY }, (_, number) => `many-${number},${number % 1_000}`),
    );
    const opened = async (): Promise<number> => {
      const rows = await Promise.all(
        Array.from({ length: SHARDS }, (_, shard) =>
          own.query(shard, "SELECT COUNT(*) AS skus FROM stock WHERE sku_id LIKE 'many-%'"),
        ),
      );
      return rows.reduce((sum, [row]) => sum + Number(row?.['skus']), 0);
    };
    const running = await startFile('src/commands/import-stock.ts', [file], own.environment);
    while ((await opened()) < MANY / 10) await sleep(5);
    running.signal('SIGKILL');
    await running.finished;
    // A server may still commit what it had received.
    let imported = await opened();
    for (let before = -1; before !== imported; imported = await opened()) {
      before = imported;
      await sleep(STILL_MS);
    }
    expect(imported).to.be.below(MANY);
    const again = await run(file);
    expect([again.code, counts(again)], again.stderr).to.deep.equal([0, [MANY, MANY - imported, imported, 0, 0, 0]]);
    expect(await opened()).to.equal(MANY);
    for (const number of [0, 999, 12_345, MANY - 1])
      expect(await leavedAmount(`many-${number}`)).to.equal(number % 1_000);
  }).timeout(TEST_MS);
});
