import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadShards } from '../../../src/config/shardsFile.ts';
import { PAGE_FILES, PAGE_LICENCES } from '../../../src/http/page/pageFiles.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { addressesIn, runFile, startCommand } from '../../support/run/command.ts';
import type { Finished } from '../../support/run/command.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { stack } from '../../support/run/setup.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import type { TemporaryFolder } from '../../support/run/temporary.ts';

describe('npm run build', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let built: string;
  before(async () => {
    folder = temporaryFolder();
    built = join(folder.path, 'dist');
    const { code, stderr } = await runFile('scripts/build.ts', ['--to', built]);
    expect(code, stderr).to.equal(0);
  });
  after(() => folder.remove());

  const run = (on: Pick<OwnShards, 'environment'>, name: string, ...args: readonly string[]): Promise<Finished> =>
    startCommand(process.execPath, [join(built, name), ...args], on.environment).finished;
  const send = (url: string, method: string, body: unknown): Promise<Response> =>
    fetch(url, { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

  /** Starts the built gateway, opens a SKU, sells it and returns it, and reads the page of the API. */
  const expectSale = async (on: Pick<OwnShards, 'environment'>): Promise<void> => {
    const gateway = startCommand(process.execPath, [join(built, 'main.mjs')], {
      ...on.environment,
      PORT: '0',
      ADMIN_PORT: '0',
      STOCKGATE_LOG_LEVEL: 'silent',
    });
    const { publicUrl, adminUrl } = addressesIn(await gateway.line());
    const sku_id = fresh('built');
    const line = { order_detail_id: 'a', sku_id, quantity: 1 };
    expect((await send(`${adminUrl}/v1/skus/${sku_id}`, 'PUT', { leaved_amount: 1 })).status).to.equal(201);
    for (const status of [201, 200])
      expect((await send(`${publicUrl}/v1/deductions`, 'POST', { order_id: 'o', lines: [line] })).status).to.equal(
        status,
      );
    expect((await send(`${publicUrl}/v1/returns`, 'POST', { return_id: 'r', ...line })).status).to.equal(201);
    for (const { path, file } of PAGE_FILES) {
      const page = await fetch(adminUrl + path);
      expect([page.status, (await page.text()) === readFileSync(projectPath(file), 'utf8')], path).to.deep.equal([
        200,
        true,
      ]);
    }
    gateway.signal('SIGTERM');
    expect((await gateway.finished).code).to.equal(0);
  };

  it('makes a gateway that runs without installed packages', () => expectSale(stack()));

  it('makes a migrate command that brings new schemas up to date, so that the gateway sells on them', async () => {
    const own = await ownShards({ count: 2, migrated: false });
    try {
      const up = await run(own, 'migrate.mjs', 'up', '--create-schemas');
      expect(up.code, up.stdout + up.stderr).to.equal(0);
      // The migrations have the same names as in the checkout, whose command then finds nothing to do.
      const names = readdirSync(projectPath('migrations')).map((file) => ({ name: file.replace(/\.ts$/, '') }));
      for (const shard of [0, 1])
        expect(await own.query(shard, 'SELECT name FROM migration ORDER BY id')).to.deep.equal(
          names.sort((a, b) => (a.name < b.name ? -1 : 1)),
        );
      for (const status of [
        await run(own, 'migrate.mjs', 'status'),
        await runFile('src/commands/migrate.ts', ['status'], own.environment),
      ]) {
        expect([status.code, status.stdout.match(/up to date/g)?.length], status.stderr).to.deep.equal([0, 2]);
      }
      await expectSale(own);
    } finally {
      await own.drop();
    }
  });

  it('has the licences of the files that come from packages', () => {
    for (const file of PAGE_LICENCES) expect(readFileSync(join(built, file), 'utf8'), file).to.not.equal('');
  });

  it('makes the commands for operators', async () => {
    const status = await run(stack(), 'migrate.mjs', 'status');
    expect([status.code, status.stdout.match(/up to date/g)?.length], status.stderr).to.deep.equal([0, 16]);
    const file = folder.write('stock.csv', `sku_id,leaved_amount\n${fresh('built')},3\n`);
    expect((await run(stack(), 'import-stock.mjs', file)).code).to.equal(0);
    expect((await run(stack(), 'reconcile.mjs', '--help')).code).to.equal(0);
  });

  it('removes no folder that is not from an earlier build', async () => {
    mkdirSync(join(folder.path, 'theirs'));
    folder.write('theirs/precious.txt', 'work');
    const { code, stderr } = await runFile('scripts/build.ts', ['--to', join(folder.path, 'theirs')]);
    expect([code, readFileSync(join(folder.path, 'theirs', 'precious.txt'), 'utf8')]).to.deep.equal([1, 'work']);
    expect(stderr).to.contain('not an earlier build');
  });

  it('keeps an earlier build when it fails, adds nothing beside it, and removes files of a killed build', async () => {
    const copy = join(folder.path, 'copy');
    for (const part of ['src', 'scripts', 'migrations', 'package.json'])
      cpSync(projectPath(part), join(copy, part), { recursive: true });
    symlinkSync(projectPath('node_modules'), join(copy, 'node_modules'));
    folder.write('copy/src/commands/import-stock.ts', "import './nowhere.ts';\n");
    const to = join(folder.path, 'earlier', 'dist');
    // The process with this number is alive, but it started at another time.
    mkdirSync(`${to}~${hostname()}~${process.pid}~0~1`, { recursive: true });
    mkdirSync(to);
    folder.write('earlier/dist/.built', '');
    folder.write('earlier/dist/main.mjs', 'earlier');
    const { code, stderr } = await startCommand(process.execPath, [
      '--import',
      'tsx',
      join(copy, 'scripts/build.ts'),
      '--to',
      to,
    ]).finished;
    expect([code, readFileSync(join(to, 'main.mjs'), 'utf8')], stderr).to.deep.equal([1, 'earlier']);
    expect(stderr).to.contain('nowhere.ts');
    expect(readdirSync(join(folder.path, 'earlier'))).to.deep.equal(['dist']);
  });

  it('has a shards file for the compose file, with four shards on each of its servers', async () => {
    const { initialShards, shards } = await loadShards(projectPath('deploy/shards.json'), {
      STOCKGATE_MYSQL_PASSWORD: 'x',
    });
    const compose = readFileSync(projectPath('deploy/compose.yml'), 'utf8');
    expect(initialShards).to.equal(16);
    for (const number of [0, 1, 2, 3]) {
      expect(compose).to.contain(`\n  mysql-${number}:\n`);
      expect(shards.filter(({ address }) => address.host === `mysql-${number}`)).to.have.length(4);
    }
  });
});
