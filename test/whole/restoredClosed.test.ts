import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CLOSED, HALF_COPIED, NOTHING, SHOWED_BEFORE, STATE_REACHED } from '../../src/core/generations.ts';
import { PastShards } from '../../src/mysql/pastShards.ts';
import { moveOn } from '../../src/mysql/sql/generation.ts';
import { WorkLock } from '../../src/mysql/workLock.ts';
import type { Finished } from '../support/command.ts';
import { openShards } from '../support/engines.ts';
import { eventually } from '../support/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { MOVED_ON_MS, orderOf, RestoredBench } from '../support/restoredBench.ts';
import { skuOn } from '../support/traffic.ts';

const WAIT_MS = 30_000;
/** Between the steps of a dump that is loaded; a gateway looks at each of its shards twice a second. */
const LOAD_STEP_MS = 100;
/** Clocks of servers, and what was written down a moment ago. */
const CLOCKS_MS = 5_000;

describe('shards that an operator keeps gateways from', () => {
  const OWN = 3;
  let bench: RestoredBench;

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN);
  });
  after(() => bench.stop());

  it('keep what was done on them since, and are copied only once nobody sells from them', async () => {
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const [kept, lost, retried] = [
      skuOn(0, fresh('kept'), OWN),
      skuOn(0, fresh('lost'), OWN),
      skuOn(0, fresh('retried'), OWN),
    ];
    for (const sku_id of [kept, lost, retried]) await bench.gateway.openSku(sku_id, 10);
    // An attempt of a cart that was undone; the order comes again after the restore.
    await bench.deduct(`${retried} sold since`, [retried, 2]);
    await bench.own.query(0, `UPDATE flow SET status = 'void', attempt = 1 WHERE sku_id = '${retried}'`);
    await bench.own.query(0, `UPDATE stock SET leaved_amount = 10 WHERE sku_id = '${retried}'`);
    await bench.copies.copy(0, 'backup');
    await bench.deduct(`${lost} sold`, [lost, 2]);
    await bench.deduct(`${kept} sold`, [kept, 2]);
    await bench.copies.copy(0, 'before');
    for (const table of ['stock', 'flow']) {
      await bench.own.query(0, `DELETE FROM ${table} WHERE sku_id IN ('${lost}', '${kept}')`);
      await bench.own.query(
        0,
        `INSERT INTO ${table} SELECT * FROM ${bench.copies.schemaOf(0, 'backup')}.${table} WHERE sku_id IN ('${lost}', '${kept}')`,
      );
    }
    await bench.deduct(`${kept} sold since`, [kept, 3]);
    await bench.deduct(`${retried} sold since`, [retried, 2]);
    const file = await bench.against([0]);
    const tooEarly = await bench.command('--shard', 'own-0', '--against', file, '--put-back');
    expect(tooEarly.code, tooEarly.stdout).to.equal(1);
    expect(tooEarly.stderr).to.match(/own-0 may be sold from now, so nothing is put back; --close it first/);
    const named = await bench.command('--shard', 'own-0', '--against', file, '--since', since);
    expect(named.code, named.stdout).to.equal(1);
    expect(named.stderr).to.match(/own-0 is sold from, though \d+ things are missing; --close it/);
    expect((await bench.command('--close')).stderr).to.match(/--close needs the names of shards/);
    expect((await bench.command('--shard', 'own-0', '--close')).code).to.equal(0);
    await eventually('it is refused', WAIT_MS, async () => (await bench.statesOf()) === 'refused,serving,serving');
    // Somebody may be loading it, and whoever accepts others names those he means.
    const unnamed = await bench.command('--against', file, '--since', since, '--put-back', '--accept');
    expect(unnamed.code, unnamed.stdout).to.equal(1);
    expect(unnamed.stderr).to.match(/own-0 was closed, .*left as it is unless --shard names it/);
    const closed = (...args: readonly string[]): Promise<Finished> => bench.command('--shard', 'own-0', ...args);
    const unsaid = await closed('--against', file, '--put-back');
    expect(unsaid.code, unsaid.stdout).to.equal(1);
    expect(unsaid.stderr).to.match(
      /since when something is missing on own-0 is not known, .*say with --since when the backup was made/,
    );
    // As if another one had been copied before, which went further, and not to the end.
    await bench.own.query(0, `UPDATE generation SET reached = ${HALF_COPIED} WHERE shard_index = 0`);
    await bench.own.query(
      0,
      `UPDATE generation SET reached = ${(Date.now() + 60_000) * 1_000} WHERE shard_index = ${STATE_REACHED}`,
    );
    for (const half of [await closed('--accept'), await closed('--put-back', '--accept')]) {
      expect(half.code, half.stdout).to.equal(1);
      expect(half.stderr).to.match(/own-0.*: a state before was copied over it and not to the end/);
    }
    const older = await closed('--against', file, '--since', since, '--put-back');
    expect(older.code, older.stdout).to.equal(1);
    expect(older.stderr).to.match(/ends at .*, and it must reach/);
    // What failed has changed nothing of what may be done next.
    expect((await closed('--close')).code).to.equal(0);
    expect((await closed('--accept')).stderr).to.match(/a state before was copied over it and not to the end/);
    expect(await bench.statesOf()).to.equal('refused,serving,serving');
    await bench.own.query(0, `UPDATE generation SET reached = 0 WHERE shard_index = ${STATE_REACHED}`);
    const done = await closed('--against', file, '--since', since, '--put-back');
    expect(done.code, done.stdout).to.equal(1);
    expect(done.stdout)
      .to.match(/own-0 has something that the state before has not, of 2 SKUs; they are not copied: .*"kept.*/)
      .and.to.match(/they are not copied: .*"retried/);
    expect((await closed('--accept')).code).to.equal(0);
    await eventually('it sells again', WAIT_MS, async () => (await bench.statesOf()) === 'serving,serving,serving');
    expect([await bench.leftOf(lost), await bench.leftOf(kept), await bench.leftOf(retried)]).to.deep.equal([8, 7, 8]);
    await bench.deduct(`${lost} sold`, [lost, 2]);
    expect(await bench.leftOf(lost)).to.equal(8);
  }).timeout(120_000);

  it('are not sold from while a dump of the very second in which they were closed is loaded into them', async () => {
    const [sku_id, next] = [skuOn(0, fresh('dumped'), OWN), skuOn(1, fresh('not dumped'), OWN)];
    for (const one of [sku_id, next]) await bench.gateway.openSku(one, 100);
    await bench.deduct('before the dump', [sku_id, 5]);
    await bench.copies.copy(0, 'backup');
    await bench.deduct('after the dump', [sku_id, 7]);
    const dumped = `${bench.copies.schemaOf(0, 'backup')}.generation`;
    let isClosed = false;
    const closing = bench.command('--shard', 'own-0', '--close').finally(() => (isClosed = true));
    // The moment that a dump shows which is made just before the mark.
    const isUnmarked = `(SELECT reached FROM generation AS own WHERE shard_index = 0) > ${CLOSED}`;
    while (!isClosed) await bench.own.query(0, `REPLACE INTO ${dumped} SELECT * FROM generation WHERE ${isUnmarked}`);
    expect((await closing).code).to.equal(0);
    const reached = async (shard: number, table = 'generation'): Promise<number> =>
      Number((await bench.own.query(shard, `SELECT reached FROM ${table} WHERE shard_index = 0`))[0]?.['reached']);
    const shown = await reached(0, dumped);
    for (const other of [1, 2]) expect(await reached(other), `own-${other} remembers more`).to.be.above(shown);
    await eventually('it is refused', WAIT_MS, async () => (await bench.statesOf()) === 'refused,serving,serving');
    await bench.copies.copy(0, 'before');
    const statuses = { dumped: new Set<number>(), next: new Set<number>() };
    const selling = new AbortController();
    let orders = 0;
    const sellFrom = async (seller: TestGateway): Promise<void> => {
      while (!selling.signal.aborted) {
        orders += 1;
        const answers = await Promise.all([
          seller.deduct({ sku_id, order_detail_id: `meanwhile ${orders}`, quantity: 1 }),
          // It was sold, and the dump does not say so.
          seller.post('/v1/deductions', orderOf('after the dump', [[sku_id, 7]])),
          seller.deduct({ sku_id: next, order_detail_id: `meanwhile ${orders}`, quantity: 1 }),
        ]);
        answers.forEach(({ status }, place) => (place === 2 ? statuses.next : statuses.dumped).add(status));
        await sleep(100);
      }
    };
    const newcomer = await startTestGateway({}, bench.own);
    const traffic = [bench.gateway, newcomer].map(sellFrom);
    await bench.copies.load(0, 'backup', LOAD_STEP_MS);
    // It can read the shard's moment only from the other shards.
    const later = await startTestGateway({}, bench.own);
    traffic.push(sellFrom(later));
    await sleep(MOVED_ON_MS);
    selling.abort();
    await Promise.all(traffic);
    await Promise.all([newcomer.stop(), later.stop()]);
    expect([...statuses.dumped]).to.deep.equal([503]);
    expect(statuses.next.has(201)).to.equal(true);
    const done = await bench.command(
      '--shard',
      'own-0',
      '--against',
      await bench.against([0]),
      '--put-back',
      '--accept',
    );
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    expect(done.stdout).to.match(/it had reached/);
    await eventually('it sells again', WAIT_MS, async () => (await bench.statesOf()) === 'serving,serving,serving');
    for (const [order_id, quantity] of [
      ['before the dump', 5],
      ['after the dump', 7],
    ] as const) {
      expect((await bench.gateway.post('/v1/deductions', orderOf(order_id, [[sku_id, quantity]]))).status).to.equal(
        200,
      );
    }
    expect(await bench.leftOf(sku_id)).to.equal(88);
  }).timeout(120_000);

  it('keep what they show when they had gone back before they were closed', async () => {
    // It says since when something is missing.
    const reached = async (index: number): Promise<number> =>
      Number((await bench.own.query(2, `SELECT reached FROM generation WHERE shard_index = ${index}`))[0]?.['reached']);
    const shown = (await reached(2)) - 60_000_000;
    await bench.own.query(2, `UPDATE generation SET reached = ${shown} WHERE shard_index = 2`);
    await eventually('it is refused', WAIT_MS, async () => (await bench.statesOf()) === 'serving,serving,refused');
    expect((await bench.command('--shard', 'own-2', '--close')).code).to.equal(0);
    expect(await reached(SHOWED_BEFORE)).to.equal(shown);
    expect((await bench.command('--shard', 'own-2', '--accept')).code).to.equal(0);
    await eventually('it sells again', WAIT_MS, async () => (await bench.statesOf()) === 'serving,serving,serving');
  }).timeout(120_000);

  it('are worked on by one command at a time', async () => {
    const { host, port, user, password, schema } = (await bench.own.load())[1]?.address ?? expect.fail('no shard');
    const other = await WorkLock.take(
      [{ name: 'own-1', address: { host, port, user, password, schema } }],
      WAIT_MS,
      performance.now() + WAIT_MS,
    );
    try {
      for (const command of ['--close', '--accept']) {
        const { code, stderr } = await bench.command('--shard', 'own-1', command);
        expect([code, stderr]).to.deep.equal([1, 'another command is at work on own-1\n']);
      }
      expect((await bench.command('--shard', 'own-2', '--accept')).stdout).to.match(/own-2 is sold from/);
    } finally {
      other.free();
    }
    expect(() => other.assert()).to.throw('nothing more is done');
  }).timeout(60_000);

  it('stay marked while they are moved on by who does not know it', async () => {
    const [shard] = openShards({ shards: await bench.own.load(), initialShards: OWN });
    if (shard === undefined) return expect.fail('no shard');
    try {
      for (const mark of [CLOSED, HALF_COPIED]) {
        await bench.own.query(0, `UPDATE generation SET reached = ${mark} WHERE shard_index = 0`);
        await shard.pool.lend(performance.now() + WAIT_MS, (connection) =>
          moveOn(connection, 0, 0, new Map([[1, 10]]), performance.now() + WAIT_MS),
        );
        expect(
          (await bench.own.query(0, 'SELECT reached FROM generation WHERE shard_index = 0'))[0]?.['reached'],
        ).to.equal(mark);
      }
      const past = new PastShards([(await bench.own.load())[0]?.address ?? expect.fail('no shard')], WAIT_MS);
      expect(await past.reached(0, performance.now() + WAIT_MS)).to.equal(NOTHING);
      past.close();
      await bench.own.query(0, `UPDATE generation SET reached = ${CLOSED} WHERE shard_index = 0`);
      expect((await bench.command('--shard', 'own-0', '--since', new Date().toISOString(), '--accept')).code).to.equal(
        0,
      );
    } finally {
      shard.pool.close();
    }
  }).timeout(60_000);

  it('are refused by gateways that know nothing of them, where there is one alone', async () => {
    const alone = await RestoredBench.start(1);
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const sku_id = fresh('alone');
    const sell = async (): Promise<number> =>
      (await alone.gateway.post('/v1/deductions', orderOf('after the backup', [[sku_id, 4]]))).status;
    try {
      await alone.gateway.openSku(sku_id, 10);
      await alone.copies.copy(0, 'backup');
      expect(await sell()).to.equal(201);
      await sleep(MOVED_ON_MS);
      await alone.gateway.stop();
      await alone.copies.copy(0, 'before');
      await alone.copies.restore(0, 'backup');
      for (let time = 0; time < 2; time += 1)
        expect((await alone.command('--shard', 'own-0', '--close')).code).to.equal(0);
      alone.gateway = await startTestGateway({}, alone.own);
      await eventually('it is refused', WAIT_MS, async () => (await alone.statesOf()) === 'refused');
      expect((await alone.shardStates())[0]?.reason).to.match(/an operator keeps gateways from it/);
      expect(await sell()).to.equal(503);
      const copied = await alone.command(
        '--shard',
        'own-0',
        '--against',
        await alone.against([0]),
        '--since',
        since,
        '--put-back',
      );
      // Nobody remembers how far it had come, so nobody knows whether that was all.
      expect(copied.code, copied.stdout).to.equal(1);
      expect(copied.stderr).to.match(/own-0 is not sold from: nobody knows how far it had come/);
      expect(await alone.statesOf()).to.equal('refused');
      expect((await alone.command('--shard', 'own-0', '--accept')).code).to.equal(0);
      await eventually('it sells again', WAIT_MS, async () => (await alone.statesOf()) === 'serving');
      expect([await sell(), await alone.leftOf(sku_id)]).to.deep.equal([200, 6]);
    } finally {
      await alone.stop();
    }
  }).timeout(120_000);
});
