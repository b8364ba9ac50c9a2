import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import {
  MARK_CLOSED,
  MARK_COPYING,
  NO_WATERMARK,
  OWN_WATERMARK_KEY,
  REFERENCE_WATERMARK_KEY,
} from '../../../src/core/restore/watermarks.ts';
import { ReferenceCopy } from '../../../src/mysql/restore/referenceCopy.ts';
import { raiseWatermark } from '../../../src/mysql/sql/restore/watermarks.ts';
import { RepairLock } from '../../../src/mysql/restore/repairLock.ts';
import type { Finished } from '../../support/run/command.ts';
import { openShards } from '../../support/engines/engines.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { WATERMARK_MS, orderOf, RestoredBench } from '../../support/systems/restoredBench.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const WAIT_MS = 30_000;
/** The pause between the steps of loading a dump; a gateway inspects each of its shards twice a second. */
const LOAD_STEP_MS = 100;
/** A margin for the clocks of servers and for watermarks that were written a moment ago. */
const CLOCKS_MS = 5_000;

describe('shards that an operator has closed', () => {
  const OWN = 3;
  let bench: RestoredBench;

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN);
  });
  after(() => bench.stop());

  const statesBecome = (states: string): Promise<void> =>
    eventually(`the shards are ${states}`, WAIT_MS, async () => (await bench.statesOf()) === states);
  /** Sells, restores the rows of two SKUs, and sells again. The reference copy is from just before the restore. */
  const sellAndRestore = async ({
    kept,
    lost,
    retried,
  }: Record<'kept' | 'lost' | 'retried', string>): Promise<void> => {
    for (const sku_id of [kept, lost, retried]) await bench.gateway.openSku(sku_id, 10);
    // The attempt of a cart that was undone. The order is sent again after the restore.
    await bench.deduct(`${retried} sold since`, [retried, 2]);
    await bench.own.query(0, `UPDATE flow SET status = 'void', attempt = 1 WHERE sku_id = '${retried}'`);
    await bench.own.query(0, `UPDATE stock SET leaved_amount = 10 WHERE sku_id = '${retried}'`);
    await bench.copies.copy(0, 'backup');
    await bench.deduct(`${lost} sold`, [lost, 2]);
    await bench.deduct(`${kept} sold`, [kept, 2]);
    await bench.copies.copy(0, 'before');
    const ofRestored = `WHERE sku_id IN ('${lost}', '${kept}')`;
    for (const table of ['stock', 'flow']) {
      const backup = `${bench.copies.schemaOf(0, 'backup')}.${table}`;
      await bench.own.query(0, `DELETE FROM ${table} ${ofRestored}`);
      await bench.own.query(0, `INSERT INTO ${table} SELECT * FROM ${backup} ${ofRestored}`);
    }
    await bench.deduct(`${kept} sold since`, [kept, 3]);
    await bench.deduct(`${retried} sold since`, [retried, 2]);
  };

  it('keep what was done on them since the restore, and are copied only once they are closed', async () => {
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const [kept, lost, retried] = [
      skuOn(0, fresh('kept'), OWN),
      skuOn(0, fresh('lost'), OWN),
      skuOn(0, fresh('retried'), OWN),
    ];
    await sellAndRestore({ kept, lost, retried });
    const file = await bench.against([0]);
    const tooEarly = await bench.command('--shard', 'own-0', '--against', file, '--put-back');
    expect(tooEarly.code, tooEarly.stdout).to.equal(1);
    expect(tooEarly.stderr).to.match(/own-0 is open, so nothing is put back; close it first with --close/);
    const named = await bench.command('--shard', 'own-0', '--against', file, '--since', since);
    expect(named.code, named.stdout).to.equal(1);
    expect(named.stderr).to.match(/own-0 is open, although \d+ records are missing; close it with --close/);
    expect((await bench.command('--close')).stderr).to.match(/--close needs the names of shards/);
    expect((await bench.command('--shard', 'own-0', '--close')).code).to.equal(0);
    await statesBecome('refused,serving,serving');
    // An operator may be loading a dump into it, so it is accepted only by name.
    const unnamed = await bench.command('--against', file, '--since', since, '--put-back', '--accept');
    expect(unnamed.code, unnamed.stdout).to.equal(1);
    expect(unnamed.stderr).to.match(/own-0 is closed, .*left unchanged unless --shard names it/);
    const closed = (...args: readonly string[]): Promise<Finished> => bench.command('--shard', 'own-0', ...args);
    const unsaid = await closed('--against', file, '--put-back');
    expect(unsaid.code, unsaid.stdout).to.equal(1);
    expect(unsaid.stderr).to.match(
      /the moment of the backup of own-0 is not known, .*give the moment of the backup with --since/,
    );
    // As if another reference copy, of a later moment, had been copied before and only in part.
    await bench.own.query(0, `UPDATE generation SET reached = ${MARK_COPYING} WHERE shard_index = 0`);
    await bench.own.query(
      0,
      `UPDATE generation SET reached = ${(Date.now() + 60_000) * 1_000} WHERE shard_index = ${REFERENCE_WATERMARK_KEY}`,
    );
    for (const half of [await closed('--accept'), await closed('--put-back', '--accept')]) {
      expect(half.code, half.stdout).to.equal(1);
      expect(half.stderr).to.match(/own-0.*: a reference copy was copied over it only in part/);
    }
    const older = await closed('--against', file, '--since', since, '--put-back');
    expect(older.code, older.stdout).to.equal(1);
    expect(older.stderr).to.match(/ends at .*, and it must reach/);
    // A command that failed does not change which commands are allowed next.
    expect((await closed('--close')).code).to.equal(0);
    expect((await closed('--accept')).stderr).to.match(/a reference copy was copied over it only in part/);
    expect(await bench.statesOf()).to.equal('refused,serving,serving');
    await bench.own.query(0, `UPDATE generation SET reached = 0 WHERE shard_index = ${REFERENCE_WATERMARK_KEY}`);
    const done = await closed('--against', file, '--since', since, '--put-back');
    expect(done.code, done.stdout).to.equal(1);
    expect(done.stdout)
      .to.match(/own-0 has records that the reference copy lacks, of 2 SKUs; these SKUs are not copied: .*"kept.*/)
      .and.to.match(/these SKUs are not copied: .*"retried/);
    expect((await closed('--accept')).code).to.equal(0);
    await statesBecome('serving,serving,serving');
    expect([await bench.leftOf(lost), await bench.leftOf(kept), await bench.leftOf(retried)]).to.deep.equal([8, 7, 8]);
    await bench.deduct(`${lost} sold`, [lost, 2]);
    expect(await bench.leftOf(lost)).to.equal(8);
  }).timeout(120_000);

  it('are not sold from while a dump of the very second of their closing is loaded into them', async () => {
    const [sku_id, next] = [skuOn(0, fresh('dumped'), OWN), skuOn(1, fresh('not dumped'), OWN)];
    for (const one of [sku_id, next]) await bench.gateway.openSku(one, 100);
    await bench.deduct('before the dump', [sku_id, 5]);
    await bench.copies.copy(0, 'backup');
    await bench.deduct('after the dump', [sku_id, 7]);
    const dumped = `${bench.copies.schemaOf(0, 'backup')}.generation`;
    let isClosed = false;
    const closing = bench.command('--shard', 'own-0', '--close').finally(() => (isClosed = true));
    // The watermark in a dump that is made just before the shard is closed.
    const isUnmarked = `(SELECT reached FROM generation AS own WHERE shard_index = 0) > ${MARK_CLOSED}`;
    while (!isClosed) await bench.own.query(0, `REPLACE INTO ${dumped} SELECT * FROM generation WHERE ${isUnmarked}`);
    expect((await closing).code).to.equal(0);
    const reached = async (shard: number, table = 'generation'): Promise<number> =>
      Number((await bench.own.query(shard, `SELECT reached FROM ${table} WHERE shard_index = 0`))[0]?.['reached']);
    const shown = await reached(0, dumped);
    for (const other of [1, 2])
      expect(await reached(other), `own-${other} has recorded a later watermark`).to.be.above(shown);
    await statesBecome('refused,serving,serving');
    await bench.copies.copy(0, 'before');
    const statuses = { dumped: new Set<number>(), next: new Set<number>() };
    const selling = new AbortController();
    let orders = 0;
    const sellFrom = async (seller: TestGateway): Promise<void> => {
      while (!selling.signal.aborted) {
        orders += 1;
        const answers = await Promise.all([
          seller.deduct({ sku_id, order_detail_id: `meanwhile ${orders}`, quantity: 1 }),
          // It was sold, and the dump does not have the sale.
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
    // This gateway can read the shard's watermark only from the other shards.
    const later = await startTestGateway({}, bench.own);
    traffic.push(sellFrom(later));
    await sleep(WATERMARK_MS);
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
    await statesBecome('serving,serving,serving');
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

  it('keep the watermark that they show, when they were restored before they were closed', async () => {
    // That watermark shows from which moment on records are missing.
    const reached = async (index: number): Promise<number> =>
      Number((await bench.own.query(2, `SELECT reached FROM generation WHERE shard_index = ${index}`))[0]?.['reached']);
    const shown = (await reached(2)) - 60_000_000;
    await bench.own.query(2, `UPDATE generation SET reached = ${shown} WHERE shard_index = 2`);
    await statesBecome('serving,serving,refused');
    expect((await bench.command('--shard', 'own-2', '--close')).code).to.equal(0);
    expect(await reached(OWN_WATERMARK_KEY)).to.equal(shown);
    expect((await bench.command('--shard', 'own-2', '--accept')).code).to.equal(0);
    await statesBecome('serving,serving,serving');
  }).timeout(120_000);

  it('are worked on by one command at a time', async () => {
    const { host, port, user, password, schema } = (await bench.own.load())[1]?.address ?? expect.fail('no shard');
    const other = await RepairLock.take(
      [{ name: 'own-1', address: { host, port, user, password, schema } }],
      WAIT_MS,
      performance.now() + WAIT_MS,
    );
    try {
      for (const command of ['--close', '--accept']) {
        const { code, stderr } = await bench.command('--shard', 'own-1', command);
        expect([code, stderr]).to.deep.equal([1, 'another command is at work on own-1\n']);
      }
      expect((await bench.command('--shard', 'own-2', '--accept')).stdout).to.match(/own-2 is open/);
    } finally {
      other.free();
    }
    expect(() => other.assert()).to.throw('nothing more is done');
  }).timeout(60_000);

  it('stay marked when a gateway that has not read the mark moves their watermark on', async () => {
    const [shard] = openShards({ shards: await bench.own.load(), initialShards: OWN });
    if (shard === undefined) return expect.fail('no shard');
    try {
      for (const mark of [MARK_CLOSED, MARK_COPYING]) {
        await bench.own.query(0, `UPDATE generation SET reached = ${mark} WHERE shard_index = 0`);
        await shard.pool.lend(performance.now() + WAIT_MS, (connection) =>
          raiseWatermark(connection, 0, 0, new Map([[1, 10]]), performance.now() + WAIT_MS),
        );
        expect(
          (await bench.own.query(0, 'SELECT reached FROM generation WHERE shard_index = 0'))[0]?.['reached'],
        ).to.equal(mark);
      }
      const past = new ReferenceCopy([(await bench.own.load())[0]?.address ?? expect.fail('no shard')], WAIT_MS);
      expect(await past.reached(0, performance.now() + WAIT_MS)).to.equal(NO_WATERMARK);
      past.close();
      await bench.own.query(0, `UPDATE generation SET reached = ${MARK_CLOSED} WHERE shard_index = 0`);
      expect((await bench.command('--shard', 'own-0', '--since', new Date().toISOString(), '--accept')).code).to.equal(
        0,
      );
    } finally {
      shard.pool.close();
    }
  }).timeout(60_000);

  it('are refused by gateways that have no watermark of them, where there is one alone', async () => {
    const alone = await RestoredBench.start(1);
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const sku_id = fresh('alone');
    const sell = async (): Promise<number> =>
      (await alone.gateway.post('/v1/deductions', orderOf('after the backup', [[sku_id, 4]]))).status;
    try {
      await alone.gateway.openSku(sku_id, 10);
      await alone.copies.copy(0, 'backup');
      expect(await sell()).to.equal(201);
      await sleep(WATERMARK_MS);
      await alone.gateway.stop();
      await alone.copies.copy(0, 'before');
      await alone.copies.restore(0, 'backup');
      for (let time = 0; time < 2; time += 1)
        expect((await alone.command('--shard', 'own-0', '--close')).code).to.equal(0);
      alone.gateway = await startTestGateway({}, alone.own);
      await eventually('the shard is refused', WAIT_MS, async () => (await alone.statesOf()) === 'refused');
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
      // No shard recorded its watermark, so the reference copy may be incomplete.
      expect(copied.code, copied.stdout).to.equal(1);
      expect(copied.stderr).to.match(/own-0 stays refused: no shard recorded how far it had come/);
      expect(await alone.statesOf()).to.equal('refused');
      expect((await alone.command('--shard', 'own-0', '--accept')).code).to.equal(0);
      await eventually('all shards are served again', WAIT_MS, async () => (await alone.statesOf()) === 'serving');
      expect([await sell(), await alone.leftOf(sku_id)]).to.deep.equal([200, 6]);
    } finally {
      await alone.stop();
    }
  }).timeout(120_000);
});
