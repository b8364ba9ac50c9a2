import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { inParallel } from '../../../scripts/support/inParallel.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import { addressesIn, isAlive, runFile, startFile } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { callsOf } from '../../support/run/processCalls.ts';
import { stack } from '../../support/run/setup.ts';
import { sideSession } from '../../support/rows/sideSession.ts';
import { skuOn } from '../../support/engines/traffic.ts';
import { sumOf } from '../../support/gateway/metricsPage.ts';
import { acceptedBy, workersOf } from '../../support/gateway/workerSockets.ts';

const REQUESTS = 300;
const UNITS = 100;
const CONNECTIONS = 60;
/** A worker loads all sources itself, on a machine that may be busy. */
const START_MS = 30_000;

/** Tests that run only in the long form, because each start of workers takes seconds. */
const longIt = process.env['STOCKGATE_TEST_LONG'] === '1' ? it : it.skip;

const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' };

describe('several workers', () => {
  let gateway: GatewayProcess;
  let client: HttpClient;
  const port = (): number => Number(new URL(gateway.publicUrl).port);
  const workers = (): number[] => workersOf(gateway.pid);
  /** Whether each worker has accepted connections. No answer names its worker, so the sockets show it. */
  const bothAccepted = (): boolean => workers().every((pid) => acceptedBy(pid, port()) > 0);

  const { open, deduct, left, page } = callsOf(
    () => client,
    () => gateway,
  );
  const DEDUCTIONS = 'stockgate_requests_total{route="POST /v1/deductions"';

  before(async () => {
    gateway = await startGatewayProcess({ ...stack().environment, ...FREE_PORTS, STOCKGATE_WORKERS: '2' });
  });
  beforeEach(async () => {
    client = httpClient(REQUESTS);
    // An idle worker accepts more connections than a busy one, and sometimes all of them.
    await eventually('both have connections', START_MS, async () => {
      client.close();
      client = httpClient(REQUESTS);
      await Promise.all(Array.from({ length: CONNECTIONS }, () => left('none').catch(() => null)));
      return workers().length === 2 && bothAccepted();
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
    expect(bothAccepted()).to.equal(true);

    const after = await page();
    expect(sumOf(after, DEDUCTIONS) - sumOf(before, DEDUCTIONS)).to.equal(tries);
    expect(sumOf(after, 'stockgate_request_seconds_count{route="POST /v1/deductions"}')).to.equal(
      sumOf(after, DEDUCTIONS),
    );
    expect(after)
      .to.contain('\nstockgate_workers 2\n')
      .and.to.contain('stockgate_shard_state{shard="shard-00",state="serving"} 1\n');
    expect(sumOf(after, 'stockgate_pool_connections_max{shard="shard-00"}')).to.equal(
      2 * (stack().shards[0]?.connections_max ?? 0),
    );
  });

  it('apply the same ids once when they are sent to all workers at once', async () => {
    const sku_id = await open(5);
    const ids = Array.from({ length: 60 }, () => `${sku_id} same`);
    const answers = await Promise.all(ids.map((id) => deduct(sku_id, id)));
    expect(bothAccepted()).to.equal(true);
    expect(answers.map(({ status }) => status).filter((status) => ![200, 201, 503].includes(status))).to.deep.equal([]);
    expect(answers.filter(({ status }) => status === 201)).to.have.length(1);
    expect(await left(sku_id)).to.equal(4);
  });

  it('reconcile one at a time, at whichever worker', async () => {
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

  it('do not delay a scrape while one is frozen, and show its last counts', async () => {
    const before = await page();
    const [frozen = 0] = workers();
    process.kill(frozen, 'SIGSTOP');
    try {
      // A connection that the frozen worker accepted just before is not answered; the others go to the other worker.
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
      expect(sumOf(answered?.text ?? '', DEDUCTIONS)).to.equal(sumOf(before, DEDUCTIONS));
    } finally {
      process.kill(frozen, 'SIGCONT');
    }
    await eventually('both are on the page again', 3_000, async () =>
      (await page()).includes('\nstockgate_workers 2\n'),
    );
  });

  it('lose one to kill -9 under load without losing an order, replace it, and go on selling', async () => {
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
    await eventually('they are selling', 15_000, () => sold.size > 40 && bothAccepted());
    const counts = [sumOf(await page(), DEDUCTIONS)];
    process.kill(killed, 'SIGKILL');
    await eventually('another worker replaced it', START_MS, async () => {
      const text = await page().catch(() => null);
      if (text !== null) counts.push(sumOf(text, DEDUCTIONS));
      return workers().length === 2 && !workers().includes(killed);
    });
    const soldBefore = sold.size;
    await eventually('they go on selling', 3_000, () => sold.size > soldBefore + 40);
    goOn = false;
    await Promise.all(customers);

    // Every order that was answered is a replay when it is sent again.
    const lost: string[] = [];
    await inParallel([...sold], 10, async (id) => {
      sent += 1;
      const { status, text } = await deduct(sku_id, id);
      if (status !== 200) lost.push(text);
    });
    expect(lost).to.deep.equal([]);
    // At most the orders in progress at the kill were applied without an answer.
    expect(10_000 - Number(await left(sku_id))).to.be.within(sold.size, sold.size + 20);
    await eventually('the new one is on the page', START_MS, async () =>
      (await page()).includes('\nstockgate_workers 2\n'),
    );
    counts.push(sumOf(await page(), DEDUCTIONS));
    expect(counts, 'a counter never falls').to.deep.equal([...counts].sort((one, other) => one - other));
    expect((counts.at(-1) ?? 0) - sumOf(before, DEDUCTIONS)).to.be.at.most(sent);

    // There is no traffic now, so the counts stay the same when another worker dies.
    process.kill(workers()[0] ?? 0, 'SIGKILL');
    await eventually('one is left', START_MS, async () =>
      (await page().catch(() => '')).includes('\nstockgate_workers 1\n'),
    );
    expect(sumOf(await page(), DEDUCTIONS)).to.equal(counts.at(-1));
  });

  longIt('keep their port when all of them are killed at once', async () => {
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

  longIt('do not start on a port that is in use, and report it once', async () => {
    const { port: taken } = new URL(gateway.publicUrl);
    const { code, stdout, stderr } = await runFile('src/main.ts', ['--workers', '2'], {
      ...stack().environment,
      ...FREE_PORTS,
      PORT: taken,
    });
    expect([code, stdout]).to.deep.equal([1, '']);
    // On a busy machine the database driver may print warnings.
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
    // Each order has its own connection; over one connection all would go to one worker.
    const answers = Array.from({ length: CONNECTIONS }, (_, index) => deduct(sku_id, `${sku_id} ${index}`));
    await eventually(
      'both have some in flight',
      2_000,
      async () => sumOf(await page(), 'stockgate_pool_busy{shard="shard-00"}') === 2,
    );
    // How many orders share a database connection cannot be observed. After this pause all orders have been received.
    await sleep(300);
    expect(bothAccepted()).to.equal(true);
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

  it('is reported once when all listen; --workers overrides the environment; a second signal ends all', async () => {
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
