import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../scripts/support/httpClient.ts';
import { addressesIn, isAlive, runFile, startFile } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { fresh } from '../support/gateway.ts';
import { stack } from '../support/setup.ts';
import { sideSession } from '../support/sideSession.ts';
import { skuOn } from '../support/traffic.ts';
import { acceptedBy, workersOf } from '../support/workerSockets.ts';

const REQUESTS = 300;
const UNITS = 100;
const CONNECTIONS = 60;
/** A worker loads all sources anew, beside whatever else the machine does. */
const START_MS = 30_000;

/** A start takes seconds: some are left to the long form. */
const longIt = process.env['STOCKGATE_TEST_LONG'] === '1' ? it : it.skip;

const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' };

describe('several workers', () => {
  let gateway: GatewayProcess;
  let client: HttpClient;
  const port = (): number => Number(new URL(gateway.publicUrl).port);
  const workers = (): number[] => workersOf(gateway.pid);
  /** The worker's number is in no answer, so what tells them apart is who holds the connection. */
  const bothTookSome = (): boolean => workers().every((pid) => acceptedBy(pid, port()) > 0);

  const open = async (units: number, sku_id = fresh('of workers')): Promise<string> => {
    const answer = await client.call({
      method: 'PUT',
      url: `${gateway.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}`,
      body: { leaved_amount: units },
    });
    expect(answer.status).to.equal(201);
    return sku_id;
  };
  const deduct = (sku_id: string, id: string): Promise<Answer> =>
    client.call({
      method: 'POST',
      url: `${gateway.publicUrl}/v1/deductions`,
      body: { order_id: `order ${id}`, lines: [{ order_detail_id: id, sku_id, quantity: 1 }] },
    });
  const left = async (sku_id: string): Promise<unknown> =>
    (await client.call({ method: 'GET', url: `${gateway.publicUrl}/v1/skus/${encodeURIComponent(sku_id)}` })).body
      ?.leaved_amount;
  const page = async (): Promise<string> => {
    const { status, text } = await client.call({ method: 'GET', url: `${gateway.adminUrl}/metrics` });
    expect(status).to.equal(200);
    return text;
  };
  /** Adds up the rows of a page that begin so. */
  const sum = (text: string, begin: string): number =>
    text
      .split('\n')
      .filter((row) => row.startsWith(begin))
      .reduce((total, row) => total + Number(row.split(' ').at(-1)), 0);
  const DEDUCTIONS = 'stockgate_requests_total{route="POST /v1/deductions"';

  before(async () => {
    gateway = await startGatewayProcess({ ...stack().environment, ...FREE_PORTS, STOCKGATE_WORKERS: '2' });
  });
  beforeEach(async () => {
    client = httpClient(REQUESTS);
    // Who has nothing to do takes more connections, and at times all of them.
    await eventually('both have connections', START_MS, async () => {
      client.close();
      client = httpClient(REQUESTS);
      await Promise.all(Array.from({ length: CONNECTIONS }, () => left('none').catch(() => null)));
      return workers().length === 2 && bothTookSome();
    });
  });
  afterEach(() => client.close());
  after(async () => {
    await gateway?.stop();
  });

  it(`sell ${UNITS} units to ${REQUESTS} requests at once, each id once, and count them on one page`, async () => {
    const sku_id = await open(UNITS);
    const before = await page();
    let tries = 0;
    const sell = async (id: string): Promise<Answer> => {
      for (;;) {
        tries += 1;
        const answer = await deduct(sku_id, id);
        if (answer.status !== 503) return answer;
      }
    };
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, index) => sell(`${sku_id} ${index}`)));
    expect(answers.filter(({ status }) => status === 201 || status === 200)).to.have.length(UNITS);
    expect(answers.filter(({ body }) => body.code === 'insufficient_stock')).to.have.length(REQUESTS - UNITS);
    expect(await left(sku_id)).to.equal(0);
    expect(workers()).to.have.length(2);
    expect(bothTookSome()).to.equal(true);

    const after = await page();
    expect(sum(after, DEDUCTIONS) - sum(before, DEDUCTIONS)).to.equal(tries);
    expect(sum(after, 'stockgate_request_seconds_count{route="POST /v1/deductions"}')).to.equal(sum(after, DEDUCTIONS));
    expect(after)
      .to.contain('\nstockgate_workers 2\n')
      .and.to.contain('stockgate_shard_state{shard="shard-00",state="serving"} 1\n');
    expect(sum(after, 'stockgate_pool_connections_max{shard="shard-00"}')).to.equal(
      2 * (stack().shards[0]?.connections_max ?? 0),
    );
  });

  it('give the same ids, sent to all of them at once, one effect', async () => {
    const sku_id = await open(5);
    const ids = Array.from({ length: 60 }, () => `${sku_id} same`);
    const answers = await Promise.all(ids.map((id) => deduct(sku_id, id)));
    expect(bothTookSome()).to.equal(true);
    expect(answers.map(({ status }) => status).filter((status) => ![200, 201, 503].includes(status))).to.deep.equal([]);
    expect(answers.filter(({ status }) => status === 201)).to.have.length(1);
    expect(await left(sku_id)).to.equal(4);
  });

  it('reconcile one at a time, whoever is asked', async () => {
    const calls = Array.from({ length: 6 }, () =>
      client.call({ method: 'POST', url: `${gateway.adminUrl}/v1/reconciliations`, body: {} }),
    );
    const answers = await Promise.all(calls);
    expect(answers.some(({ status }) => status === 200)).to.equal(true);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(({ body }) => body.code))
      .to.deep.equal(refused.map(() => 'overloaded'))
      .and.not.to.deep.equal([]);
    const again = await client.call({ method: 'POST', url: `${gateway.adminUrl}/v1/reconciliations`, body: {} });
    expect(again.status).to.equal(200);
  });

  it('do not keep a scrape waiting for one that is silent, and show what it had counted', async () => {
    const before = await page();
    const [silent = 0] = workers();
    process.kill(silent, 'SIGSTOP');
    try {
      // A connection that the silent one took just before is not answered; the others go to its sibling.
      const scrapes = [0, 1, 2].map(async () => {
        const one = httpClient(1);
        const startedMs = performance.now();
        return one
          .call({ method: 'GET', url: `${gateway.adminUrl}/metrics`, waitMs: 2_000 })
          .then(
            ({ text }) => ({ text, tookMs: performance.now() - startedMs }),
            () => null,
          )
          .finally(() => one.close());
      });
      const [answered] = (await Promise.all(scrapes)).filter((scrape) => scrape !== null);
      expect(answered?.tookMs).to.be.below(1_500);
      expect(answered?.text).to.contain('\nstockgate_workers 1\n');
      expect(sum(answered?.text ?? '', DEDUCTIONS)).to.equal(sum(before, DEDUCTIONS));
    } finally {
      process.kill(silent, 'SIGCONT');
    }
    await eventually('both are on the page again', 3_000, async () =>
      (await page()).includes('\nstockgate_workers 2\n'),
    );
  });

  it('lose one to kill -9 under load: what was answered stands, it is replaced, and the rest goes on selling', async () => {
    const sku_id = await open(10_000);
    const killed = workers()[0] ?? 0;
    const before = await page();
    const sold = new Set<string>();
    let goOn = true;
    let sent = 0;
    const customers = Array.from({ length: 20 }, async (_, customer) => {
      for (let order = 0; goOn; order += 1) {
        sent += 1;
        const id = `${sku_id} ${customer} ${order}`;
        const answer = await deduct(sku_id, id).catch(() => null);
        if (answer?.status === 201) sold.add(id);
      }
    });
    await eventually('they are selling', 15_000, () => sold.size > 40 && bothTookSome());
    const counts = [sum(await page(), DEDUCTIONS)];
    process.kill(killed, 'SIGKILL');
    await eventually('another took its place', START_MS, async () => {
      const text = await page().catch(() => null);
      if (text !== null) counts.push(sum(text, DEDUCTIONS));
      return workers().length === 2 && !workers().includes(killed);
    });
    const soldBefore = sold.size;
    await eventually('they go on', 3_000, () => sold.size > soldBefore + 40);
    goOn = false;
    await Promise.all(customers);

    // Sent again, every order is known.
    const forgotten: string[] = [];
    await inParallel([...sold], 10, async (id) => {
      sent += 1;
      const { status, text } = await deduct(sku_id, id);
      if (status !== 200) forgotten.push(text);
    });
    expect(forgotten).to.deep.equal([]);
    // At most those that were under way when it died were done unheard.
    expect(10_000 - Number(await left(sku_id))).to.be.within(sold.size, sold.size + 20);
    await eventually('the new one is on the page', START_MS, async () =>
      (await page()).includes('\nstockgate_workers 2\n'),
    );
    counts.push(sum(await page(), DEDUCTIONS));
    expect(counts, 'a counter never falls').to.deep.equal([...counts].sort((one, other) => one - other));
    expect((counts.at(-1) ?? 0) - sum(before, DEDUCTIONS)).to.be.at.most(sent);

    // Nobody asks for anything now, so the page stays as it is when another dies.
    process.kill(workers()[0] ?? 0, 'SIGKILL');
    await eventually('one is left', START_MS, async () =>
      (await page().catch(() => '')).includes('\nstockgate_workers 1\n'),
    );
    expect(sum(await page(), DEDUCTIONS)).to.equal(counts.at(-1));
  });

  longIt('keep their port when all of them die at once', async () => {
    const killed = workers();
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await eventually('two others serve', START_MS, async () => {
      const text = await page().catch(() => '');
      return text.includes('\nstockgate_workers 2\n') && !workers().some((pid) => killed.includes(pid));
    });
    expect((await client.call({ method: 'GET', url: `${gateway.publicUrl}/v1/skus/nothing` })).status).to.equal(404);
  });

  longIt('replace one that is stuck before it is ready', async () => {
    const others = workers();
    process.kill(others[0] ?? 0, 'SIGKILL');
    const next = (): number | undefined => workers().find((pid) => !others.includes(pid));
    await eventually('another starts', 5_000, () => next() !== undefined);
    const stuck = next() ?? 0;
    process.kill(stuck, 'SIGSTOP');
    expect(await page(), 'it was stopped too late').to.include('\nstockgate_workers 1\n');
    await eventually('it is killed, and a third serves', 60_000 + 3 * START_MS, async () =>
      (await page().catch(() => '')).includes('\nstockgate_workers 2\n'),
    );
    expect(workers()).to.not.include(stuck);
  });

  longIt('do not start on a port that is in use, and say so once', async () => {
    const { port: taken } = new URL(gateway.publicUrl);
    const { code, stdout, stderr } = await runFile('src/main.ts', ['--workers', '2'], {
      ...stack().environment,
      ...FREE_PORTS,
      PORT: taken,
    });
    expect([code, stdout]).to.deep.equal([1, '']);
    // On a busy machine the driver has complaints of its own.
    expect(stderr.split('\n').filter((row) => row !== '' && !row.startsWith('Warning: '))).to.deep.equal([
      `bind EADDRINUSE 127.0.0.1:${taken}`,
    ]);
  });

  it('drain together on SIGTERM, and the primary ends after them', async () => {
    const sku_id = skuOn(0, fresh('of workers'));
    await open(1_000, sku_id);
    const processes = [gateway.pid, ...workers()];
    const holder = await sideSession(0);
    await holder.beginTransaction();
    await holder.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
    // One on each connection, or all of them might be one worker's.
    const answers = Array.from({ length: CONNECTIONS }, (_, index) => deduct(sku_id, `${sku_id} ${index}`));
    await eventually(
      'both have some in flight',
      2_000,
      async () => sum(await page(), 'stockgate_pool_busy{shard="shard-00"}') === 2,
    );
    // How many share a connection cannot be seen; all were sent long ago.
    await sleep(300);
    expect(bothTookSome()).to.equal(true);
    gateway.signal('SIGTERM');
    await sleep(100);
    holder.destroy();
    const answered = await Promise.allSettled(answers);
    expect(await gateway.exited).to.deep.equal({ code: 0, signal: null });
    // On a slow machine the lock may have been held for longer than a statement waits.
    expect(
      answered.filter((answer) => answer.status === 'rejected' || ![201, 503].includes(answer.value.status)),
    ).to.deep.equal([]);
    expect(processes.filter(isAlive)).to.deep.equal([]);
  });
});

describe('the start of several workers', () => {
  const start = (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
    startFile('src/main.ts', args, { ...stack().environment, ...FREE_PORTS, ...more });

  it('is said once, when all listen; --workers goes before the environment; a second signal ends all at once', async () => {
    const running = await start(['--workers', '2'], { STOCKGATE_WORKERS: '3', STOCKGATE_LEAVE_MS: '60000' });
    const line = await running.line();
    addressesIn(line);
    const workers = workersOf(running.pid);
    expect(workers).to.have.length(2);
    running.signal('SIGTERM');
    await sleep(200);
    expect([running.pid, ...workers].every(isAlive), 'they drain').to.equal(true);
    running.signal('SIGTERM');
    expect((await running.finished).stdout).to.equal(`${line}\n`);
    await eventually('all are gone', 2_000, () => !workers.some(isAlive));
  });

  longIt('leaves no worker behind when the primary is killed', async () => {
    const running = await start(['--workers', '2']);
    await running.line();
    const workers = workersOf(running.pid);
    running.signal('SIGKILL');
    await eventually('all are gone', 5_000, () => !workers.some(isAlive));
  });
});
