import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort } from '../../../scripts/cluster/port.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { addressesIn, isAlive, startCommand, stateAndParent } from '../../support/run/command.ts';
import type { Running } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import type { TemporaryFolder } from '../../support/run/temporary.ts';

const LIMIT_MS = 90_000;
const STOP_MS = 20_000;

/** All processes below one, at any depth. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), stateAndParent(Number(name))?.parent] as const);
  const below = (parent: number): number[] =>
    parents.filter(([, its]) => its === parent).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

describe('npm run local', () => {
  let folder: TemporaryFolder;
  const running: Running[] = [];

  before(function () {
    // Named servers do not belong to this test: data that `local` keeps would stay on them.
    if (process.env['STOCKGATE_MYSQL_SERVERS']) this.skip();
    folder = temporaryFolder();
    // Downloads of other tests are used here too; the data are new.
    for (const part of ['copies', 'templates']) {
      mkdirSync(projectPath(`.local/${part}`), { recursive: true });
      symlinkSync(projectPath(`.local/${part}`), join(folder.path, part));
    }
  });
  afterEach(async () => {
    for (const command of running.splice(0)) {
      command.signal('SIGKILL');
      await command.finished;
    }
  });
  after(() => folder?.remove());

  const start = async (): Promise<{
    command: Running;
    addresses: { publicUrl: string; adminUrl: string };
    ports: [number, number];
  }> => {
    const ports: [number, number] = [await freePort(), await freePort()];
    const command = startCommand('npm', ['run', '--silent', 'local'], {
      DATA_DIR: folder.path,
      PORT: String(ports[0]),
      ADMIN_PORT: String(ports[1]),
      STOCKGATE_LOG_LEVEL: 'silent',
    });
    running.push(command);
    return { command, ports, addresses: addressesIn(await command.line()) };
  };
  const send = async (url: string, method: string, body: unknown): Promise<unknown[]> => {
    const answer = await fetch(url, {
      method,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    return [answer.status, ((await answer.json()) as { replayed?: boolean }).replayed];
  };
  /** Stops it with SIGTERM, as a service manager does. @returns its output */
  const stop = async (command: Running): Promise<string> => {
    const processes = [command.pid, ...descendants(command.pid)];
    expect(processes.length, 'npm, local, a gateway, a server').to.be.at.least(4);
    command.signal('SIGTERM');
    await eventually('everything that it started is gone', STOP_MS, () => !processes.some(isAlive));
    return (await command.finished).stdout;
  };

  it('serves until SIGTERM, leaves nothing running, and finds its data again', async () => {
    const sku = `/v1/skus/${fresh('local')}`;
    const sku_id = sku.split('/').at(-1);
    const order = { order_id: 'o', lines: [{ order_detail_id: 'd', sku_id, quantity: 2 }] };

    const first = await start();
    expect(first.addresses).to.deep.equal({
      publicUrl: `http://127.0.0.1:${first.ports[0]}`,
      adminUrl: `http://127.0.0.1:${first.ports[1]}`,
    });
    expect(await send(first.addresses.adminUrl + sku, 'PUT', { leaved_amount: 5 })).to.deep.equal([201, false]);
    expect(await send(`${first.addresses.publicUrl}/v1/deductions`, 'POST', order)).to.deep.equal([201, false]);
    const printed = await stop(first.command);
    expect(printed).to.equal(`ready ${first.addresses.publicUrl} admin ${first.addresses.adminUrl}\n`);
    expect(readdirSync(folder.path).sort()).to.include.members(['copies', 'kept', 'templates']);
    expect(existsSync(join(folder.path, 'runs')) ? readdirSync(join(folder.path, 'runs')) : []).to.deep.equal([]);

    const second = await start();
    const found = await fetch(second.addresses.publicUrl + sku);
    expect([found.status, ((await found.json()) as { leaved_amount: number }).leaved_amount]).to.deep.equal([200, 3]);
    expect(await send(`${second.addresses.publicUrl}/v1/deductions`, 'POST', order)).to.deep.equal([200, true]);
    await stop(second.command);
  }).timeout(LIMIT_MS);

  it('leaves nothing running when it is killed', async () => {
    const { command } = await start();
    const processes = descendants(command.pid);
    try {
      command.signal('SIGKILL');
      await eventually('everything that it started is gone', STOP_MS, () => !processes.some(isAlive));
    } finally {
      for (const pid of processes.filter(isAlive)) process.kill(pid, 'SIGKILL');
    }
  }).timeout(LIMIT_MS);
});
