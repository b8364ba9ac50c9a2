import { connect } from 'node:net';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { freePort } from '../../scripts/cluster/port.ts';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { addressesIn, isAlive, runFile, startFile } from '../support/run/command.ts';
import { openFrozenPort } from '../support/wire/frozenPort.ts';
import { eventually } from '../support/run/eventually.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import { gatewayCalls } from '../support/gateway/gatewayCalls.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { skuOn } from '../support/engines/traffic.ts';

const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' };

describe('the life of a gateway', () => {
  let own: OwnShards;
  let client: HttpClient;
  const toStop: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    client = httpClient(64);
    own = await ownShards({ count: 4, migrated: true });
  });
  afterEach(async () => {
    client.close();
    for (const stop of toStop.splice(0).reverse()) await stop();
    await own.drop();
  });

  const start = async (environment: NodeJS.ProcessEnv = {}): Promise<GatewayProcess> => {
    const gateway = await startGatewayProcess({ ...own.environment, ...FREE_PORTS, ...environment });
    toStop.push(() => gateway.stop());
    return gateway;
  };
  const sku = (shard: number): string => skuOn(shard, 'life', 4);
  const { open, deduct, shardsOf, statusOf } = gatewayCalls(() => client);

  it('drains on SIGTERM: it is not ready, answers all requests in flight, and exits with code 0', async () => {
    const gateway = await start();
    await open(gateway, sku(0), 20);
    const { host = '', port = 0, user = '', password = '', schema = '' } = (await own.load())[0]?.address ?? {};
    const holder = await mysql.createConnection({ host, port, user, password, database: schema });
    toStop.push(async () => holder.destroy());
    await holder.beginTransaction();
    await holder.query('SELECT * FROM stock FOR UPDATE');
    const answers = Array.from({ length: 20 }, () => deduct(gateway, sku(0)));
    await eventually(
      'the first requests are in flight',
      2_000,
      async () => (await shardsOf(gateway))[0]?.pool.busy === 1,
    );
    // The number of requests that share the connection is not visible; after this time all of them have been sent.
    await new Promise((resolve) => setTimeout(resolve, 300));

    gateway.signal('SIGTERM');
    const readiness = (): Promise<number> =>
      client.call({ method: 'GET', url: `${gateway.adminUrl}/readyz` }).then(
        ({ status }) => status,
        () => 0,
      );
    await eventually('it is not ready any more', 400, async () => [0, 503].includes(await readiness()));
    expect(isAlive(gateway.pid)).to.equal(true);
    await holder.rollback();
    const answered = await Promise.all(answers);
    // On a slow machine the lock may have been held for longer than a statement waits.
    expect(answered.every(({ status }) => status === 201 || status === 503)).to.equal(true);
    const done = answered.filter(({ status }) => status === 201).length;
    expect(done).to.be.above(0);
    expect(await gateway.exited).to.deep.equal({ code: 0, signal: null });
    expect(await own.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 20 - done }]);
  });

  it('does not execute a request whose deadline passed while the gateway was frozen', async () => {
    const gateway = await start();
    await open(gateway, sku(0), 5);
    gateway.signal('SIGSTOP');
    const attempt = deduct(gateway, sku(0)).catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    gateway.signal('SIGCONT');
    const answer = await attempt;
    expect(answer?.status).to.equal(503);
    expect(answer?.body.code).to.equal('overloaded');
    expect(await own.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 5 }]);
    expect((await deduct(gateway, sku(0))).status).to.be.oneOf([201, 503]);
  });

  it('does not wait for unfinished requests beyond its drain time', async () => {
    const gateway = await start({ STOCKGATE_DRAIN_MS: '300' });
    for (const [url, bytes] of [
      [gateway.publicUrl, 'POST /v1/deductions HTTP/1.1\r\n'],
      [gateway.publicUrl, ''],
      [gateway.adminUrl, 'GET'],
    ] as const) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
      toStop.push(async () => socket.destroy());
      await new Promise<void>((resolve) => socket.once('connect', () => socket.write(bytes, () => resolve())));
    }
    const signalledMs = performance.now();
    gateway.signal('SIGTERM');
    expect(await gateway.exited).to.deep.equal({ code: 0, signal: null });
    expect(performance.now() - signalledMs).to.be.lessThan(3_000);
  });

  it('starts with one shard unreachable and one frozen, reports both, and serves them later', async () => {
    const [, second, third] = (await own.load()).map(({ address }) => address);
    if (second === undefined || third === undefined) throw new Error('the shards file names too few shards');
    const [closed, silent] = [await freePort(), await freePort()];
    own.rewrite(({ shards }) => {
      Object.assign(shards[1]?.primary ?? {}, { port: closed });
      Object.assign(shards[2]?.primary ?? {}, { port: silent });
    });
    const frozen = await openFrozenPort(silent, third);
    toStop.push(() => frozen.close());

    const startedMs = performance.now();
    const gateway = await start();
    expect(performance.now() - startedMs).to.be.lessThan(10_000);
    expect((await client.call({ method: 'GET', url: `${gateway.adminUrl}/readyz` })).status).to.equal(200);
    const shards = await shardsOf(gateway);
    expect(shards.map(({ state }) => state)).to.deep.equal(['serving', 'unreachable', 'unreachable', 'serving']);
    // On a busy machine the first attempt may have timed out.
    await eventually(
      'the reason is reported',
      5_000,
      async () => (await shardsOf(gateway))[1]?.reason?.includes('ECONNREFUSED') === true,
    );
    // The gateway's own timeout, or the driver's if both have passed.
    expect(shards[2]?.reason).to.match(/no answer in time|ETIMEDOUT/);

    for (const shard of [0, 3]) {
      await open(gateway, sku(shard), 1);
      expect((await deduct(gateway, sku(shard))).status).to.equal(201);
    }
    const sentMs = performance.now();
    const missing = await Promise.all([deduct(gateway, sku(1)), deduct(gateway, sku(2))]);
    expect(missing.map(({ status, body }) => `${status} ${body.code}`)).to.deep.equal([
      '503 overloaded',
      '503 overloaded',
    ]);
    expect(performance.now() - sentMs).to.be.lessThan(3_500);

    const back = await openFrozenPort(closed, second);
    toStop.push(() => back.close());
    back.open();
    frozen.open();
    // A shard serves a moment before its breaker closes.
    await eventually('both are served again', 5_000, async () =>
      (await shardsOf(gateway)).every(({ state, breaker }) => state === 'serving' && breaker === 'closed'),
    );
    for (const shard of [1, 2]) {
      expect((await open(gateway, sku(shard), 1)).status).to.equal(201);
      expect((await deduct(gateway, sku(shard))).status).to.equal(201);
    }
  });

  it('serves a server with relaxed commits only when configured, and reports the weaker durability', async () => {
    // The shards are on the two servers in turn: this sets shards 0 and 2.
    const set = (value: number) => own.query(0, `SET GLOBAL innodb_flush_log_at_trx_commit = ${value}`);
    await set(2);
    try {
      const strict = await startTestGateway({}, own);
      toStop.push(() => strict.stop());
      expect((await shardsOf(strict)).map(({ state }) => state)).to.deep.equal([
        'refused',
        'serving',
        'refused',
        'serving',
      ]);
      expect((await shardsOf(strict))[0]?.reason).to.equal(
        'commits may be lost with the power: innodb_flush_log_at_trx_commit = 2 (needed: 1)',
      );

      const permissive = await startTestGateway({ STOCKGATE_RELAXED: 'true' }, own);
      toStop.push(() => permissive.stop());
      const durabilityOn = async (shard: number): Promise<string> => {
        await permissive.openSku(sku(shard), 1);
        return (await deduct(permissive, sku(shard))).body.durability;
      };
      expect([await durabilityOn(0), await durabilityOn(1)]).to.deep.equal(['mysql_relaxed', 'mysql']);
      expect((await permissive.adminGet('/readyz')).body).to.deep.equal({
        status: 'ready',
        durability: 'mysql_relaxed',
      });
      const { body } = await permissive.adminGet('/v1/shards');
      expect(body.shards.map((shard: { durability: string }) => shard.durability)).to.deep.equal([
        'mysql_relaxed',
        'mysql',
        'mysql_relaxed',
        'mysql',
      ]);
    } finally {
      await set(1);
    }
  });

  it('requires a token of the right listener, except for health checks', async () => {
    const gateway = await startTestGateway(
      {
        STOCKGATE_TOKENS: 'shop,shop-2',
        STOCKGATE_ADMIN_TOKENS: 'operator',
        HOST: '127.0.0.1',
        ADMIN_HOST: '127.0.0.1',
      },
      own,
    );
    toStop.push(() => gateway.stop());
    const offers = [
      undefined,
      '',
      'shop',
      'Basic shop',
      'Bearer',
      'Bearer unknown',
      'Bearer shop-',
      'Bearer shop,shop-2',
      'Bearer operator',
      'Bearer shop',
      'bearer shop-2',
    ];
    const known = [...offers.slice(0, -2).map(() => 401), 404, 404];
    expect(await Promise.all(offers.map((offer) => statusOf(`${gateway.publicUrl}/v1/skus/a`, offer)))).to.deep.equal(
      known,
    );
    for (const path of ['/v1/shards', '/metrics', '/openapi.json', '/v1/nothing']) {
      expect(
        [await statusOf(gateway.adminUrl + path), await statusOf(gateway.adminUrl + path, 'Bearer shop')],
        path,
      ).to.deep.equal([401, 401]);
    }
    expect(await statusOf(`${gateway.adminUrl}/v1/shards`, 'Bearer operator')).to.equal(200);
    expect([await statusOf(`${gateway.adminUrl}/healthz`), await statusOf(`${gateway.adminUrl}/readyz`)]).to.deep.equal(
      [200, 200],
    );
    expect(
      (await gateway.client.call({ method: 'PUT', url: `${gateway.adminUrl}/v1/skus/a`, body: { leaved_amount: 1 } }))
        .status,
    ).to.equal(401);
  });

  it('never writes a password or a token to its outputs, and logs when a listener needs no token', async () => {
    const password = own.environment['STOCKGATE_MYSQL_PASSWORD'] ?? '';
    const closed = await freePort();
    own.rewrite(({ shards }) => Object.assign(shards[1]?.primary ?? {}, { port: closed }));
    const environment = {
      ...own.environment,
      ...FREE_PORTS,
      STOCKGATE_LOG_LEVEL: 'debug',
      STOCKGATE_TOKENS: 'token-of-a-shop',
      HOST: '127.0.0.1',
    };
    const gateway = await startFile('src/main.ts', [], environment);
    const { publicUrl } = addressesIn(await gateway.line());
    await client.call({
      method: 'GET',
      url: `${publicUrl}/v1/skus/${sku(1)}`,
      headers: { authorization: 'Bearer token-of-a-shop' },
    });
    gateway.signal('SIGTERM');
    const { code, stdout, stderr } = await gateway.finished;
    expect(code).to.equal(0);
    expect(stdout.trim().split('\n')).to.have.length(1);
    expect(stderr).to.contain('ECONNREFUSED').and.to.contain('accepts all requests');
    expect(password).not.to.equal('');
    expect(stdout + stderr)
      .not.to.contain(password)
      .and.not.to.contain('token-of-a-shop');
  });

  it('does not start with a wrong configuration or a port in use, and reports the reason', async () => {
    const wrong = await runFile('src/main.ts', [], { ...own.environment, PORT: 'http' });
    expect([wrong.code, wrong.stderr, wrong.stdout]).to.deep.equal([
      1,
      'the environment is wrong:\n  PORT: must be a whole number from 0 to 65535, in digits, found "http"\n',
      '',
    ]);
    const gateway = await start();
    const taken = await runFile('src/main.ts', [], {
      ...own.environment,
      ...FREE_PORTS,
      ADMIN_PORT: new URL(gateway.publicUrl).port,
    });
    expect([taken.code, taken.stdout]).to.deep.equal([1, '']);
    expect(taken.stderr).to.contain('EADDRINUSE');
  });

  it('exits when its parent dies', async () => {
    const parent = await startFile('test/support/run/gatewayParent.ts', [], own.environment);
    const pid = Number(await parent.line());
    expect(isAlive(pid)).to.equal(true);
    parent.signal('SIGKILL');
    await eventually('the gateway is gone', 5_000, () => !isAlive(pid));
  });
});
