import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadShards } from '../src/shardsFile.ts';
import { projectPath } from '../scripts/support/paths.ts';
import { addressesIn, runFile, startCommand } from './support/command.ts';
import type { Finished } from './support/command.ts';
import { fresh } from './support/gateway.ts';
import { stack } from './support/setup.ts';
import { temporaryFolder } from './support/temporary.ts';
import type { TemporaryFolder } from './support/temporary.ts';

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

  const run = (name: string, ...args: readonly string[]): Promise<Finished> => startCommand(process.execPath, [join(built, name), ...args], stack().environment).finished;

  it('makes a gateway that serves where there is no package', async () => {
    const gateway = startCommand(process.execPath, [join(built, 'main.mjs')], { ...stack().environment, PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' });
    const { publicUrl, adminUrl } = addressesIn(await gateway.line());
    const send = (url: string, method: string, body: unknown): Promise<Response> => fetch(url, { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
    const sku_id = fresh('built');
    expect((await send(`${adminUrl}/v1/skus/${sku_id}`, 'PUT', { leaved_amount: 1 })).status).to.equal(201);
    expect((await send(`${publicUrl}/v1/deductions`, 'POST', { order_id: 'o', lines: [{ order_detail_id: 'a', sku_id, quantity: 1 }] })).status).to.equal(201);
    gateway.signal('SIGTERM');
    expect((await gateway.finished).code).to.equal(0);
  });

  it('makes the commands of operators', async () => {
    const status = await run('migrate.mjs', 'status');
    expect([status.code, status.stdout.match(/up to date/g)?.length], status.stderr).to.deep.equal([0, 16]);
    const file = folder.write('stock.csv', `sku_id,leaved_amount\n${fresh('built')},3\n`);
    expect((await run('import-stock.mjs', file)).code).to.equal(0);
    expect((await run('reconcile.mjs', '--help')).code).to.equal(0);
  });

  it('removes no folder that is not its own', async () => {
    mkdirSync(join(folder.path, 'theirs'));
    folder.write('theirs/precious.txt', 'work');
    const { code, stderr } = await runFile('scripts/build.ts', ['--to', join(folder.path, 'theirs')]);
    expect([code, readFileSync(join(folder.path, 'theirs', 'precious.txt'), 'utf8')]).to.deep.equal([1, 'work']);
    expect(stderr).to.contain('not of an earlier build');
  });

  it('has a shards file for the compose file, with four shards on each of its servers', async () => {
    const { initialShards, shards } = await loadShards(projectPath('deploy/shards.json'), { STOCKGATE_MYSQL_PASSWORD: 'x' });
    const compose = readFileSync(projectPath('deploy/compose.yml'), 'utf8');
    expect(initialShards).to.equal(16);
    for (const number of [0, 1, 2, 3]) {
      expect(compose).to.contain(`\n  mysql-${number}: `);
      expect(shards.filter(({ address }) => address.host === `mysql-${number}`)).to.have.length(4);
    }
  });
});
