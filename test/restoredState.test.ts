import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { HALF_COPIED, STATE_REACHED } from '../src/core/generations.ts';
import { runFile } from './support/command.ts';
import type { Finished } from './support/command.ts';
import { eventually } from './support/eventually.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { ownShards } from './support/ownShards.ts';
import type { OwnShards } from './support/ownShards.ts';
import { ShardCopies } from './support/shardCopies.ts';
import { temporaryFolder } from './support/temporary.ts';
import { skuOn } from './support/traffic.ts';

const WAIT_MS = 30_000;
/** Longer than a shard goes without being moved on, and the others without hearing of it. */
const MOVED_ON_MS = 3_000;
/** Between the steps of a dump that is loaded; a gateway looks at each of its shards twice a second. */
const LOAD_STEP_MS = 100;
/** Clocks of servers, and what was written down a moment ago. */
const CLOCKS_MS = 5_000;

describe('restored shards, and what is left of the state before', () => {
  const OWN = 4;
  const RESTORED = [0, 1];
  const folder = temporaryFolder();
  let own: OwnShards;
  let copies: ShardCopies;
  let gateway: TestGateway;

  const path = (sku_id: string, rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
  const send = async (path: string, body: unknown): Promise<void> => {
    await eventually(`${path} is done`, WAIT_MS, async () => (await gateway.post(path, body)).status < 300);
  };
  const deduct = (order_id: string, ...lines: readonly (readonly [sku_id: string, quantity: number])[]): Promise<void> =>
    send('/v1/deductions', { order_id, lines: lines.map(([sku_id, quantity], place) => ({ sku_id, order_detail_id: `${order_id}-${place}`, quantity })) });
  const adjust = async (sku_id: string, adjustment_id: string, delta: number): Promise<void> => {
    expect((await gateway.adminPost(path(sku_id, '/adjustments'), { adjustment_id, delta, reason: 'counted' })).status).to.equal(201);
  };
  const sale = async (sku_id: string, state: 'on' | 'paused', from: string | null = null): Promise<void> => {
    expect((await gateway.adminPut(path(sku_id, '/sale'), { state, ...(from === null ? {} : { from }) })).status).to.equal(200);
  };
  const split = async (sku_id: string, sub_rows: number): Promise<void> => {
    await eventually(`${sku_id} is split`, WAIT_MS, async () => (await gateway.adminPut(path(sku_id, '/hot'), { sub_rows })).status === 200);
  };
  const isQuiet = async (): Promise<boolean> => {
    for (let shard = 0; shard < OWN; shard += 1) {
      const [left] = await own.query(
        shard,
        "SELECT (SELECT COUNT(*) FROM cart_hold) + (SELECT COUNT(*) FROM transfer WHERE is_open = 1) + (SELECT COUNT(*) FROM hot_sku WHERE state NOT IN ('open', 'single') OR earlier <> '[]') AS count",
      );
      if (Number(left?.['count']) > 0) return false;
    }
    return true;
  };
  const command = (...args: readonly string[]): Promise<Finished> => runFile('scripts/reconcile.ts', ['--restored', ...args], own.environment);
  const against = async (): Promise<string> =>
    folder.write(
      'before.json',
      JSON.stringify({
        initialShards: OWN,
        shards: (await own.load()).map(({ name, address: { host, port, user, schema } }, shard) => ({
          name,
          primary: { host, port, user, schema: RESTORED.includes(shard) ? copies.schemaOf(shard, 'before') : schema, passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' },
          pool: { connections: 4, waiting: 100 },
        })),
      }),
    );
  /** Makes the state before end so much later than the backup. */
  const endBefore = async (micros: number): Promise<void> => {
    for (const shard of RESTORED) {
      const [row] = await own.query(shard, `SELECT reached FROM ${copies.schemaOf(shard, 'backup')}.generation WHERE shard_index = ${shard}`);
      await own.query(shard, `UPDATE ${copies.schemaOf(shard, 'before')}.generation SET reached = ${Number(row?.['reached']) + micros} WHERE shard_index = ${shard}`);
    }
  };
  const books = async (name?: string): Promise<string[]> => (await Promise.all(RESTORED.map((shard) => copies.booksOf(shard, name)))).flat();
  /** Rows that are in one of two states alone. */
  const unlike = async (before: readonly string[]): Promise<string[]> => {
    const now = await books();
    return [...now.filter((row) => !before.includes(row)).map((row) => `now: ${row}`), ...before.filter((row) => !now.includes(row)).map((row) => `before: ${row}`)];
  };
  const statesOf = async (): Promise<string> => String(((await gateway.adminGet('/v1/shards')).body?.shards as { state: string }[]).map(({ state }) => state));

  before(async function () {
    this.timeout(120_000);
    own = await ownShards({ count: OWN, migrated: true });
    copies = await ShardCopies.of(own);
    gateway = await startTestGateway({}, own);
  });
  after(async () => {
    await gateway.stop();
    await copies.drop();
    await own.drop();
    folder.remove();
  });

  it('are the same again to the last row, when that is copied', async () => {
    const sku = (shard: number, name: string): string => skuOn(shard, fresh(name), OWN);
    const [old, emptied, elsewhere, other, resumed, tomorrow] = [sku(0, 'old'), sku(0, 'emptied'), sku(2, 'elsewhere'), sku(1, 'other'), sku(0, 'resumed'), sku(0, 'tomorrow')];
    const [splitBefore, splitSince, merged] = [sku(0, 'split before'), sku(0, 'split since'), sku(2, 'merged')];
    const late = sku(0, 'late');
    for (const sku_id of [old, emptied, elsewhere, other, resumed, tomorrow, splitBefore, splitSince, merged]) await gateway.openSku(sku_id, 60);
    await sale(resumed, 'paused');
    await deduct('early', [old, 5]);
    await deduct('gone', [old, 2]);
    for (let order = 0; order < 12; order += 1) await deduct(`of the one row ${order}`, [splitSince, 1]);
    await split(splitBefore, 4);
    await split(merged, 4);
    // What was under way when the backup was made, and how it ended: sold, its record on the same shard, on the other restored one, on one that was not; undone.
    const underWay = [skuOn(0, 'record here', OWN), skuOn(1, 'record on the other', OWN), skuOn(2, 'record elsewhere', OWN)];
    for (const order_id of underWay) await deduct(order_id, [old, 3], [elsewhere, 1]);
    const undone = skuOn(2, 'undone', OWN);
    await deduct(undone, [old, 4]);
    await own.query(0, `UPDATE flow SET attempt = 1 WHERE order_id = '${undone}'`);
    await eventually('all is quiet', WAIT_MS, isQuiet);
    for (const shard of RESTORED) await copies.copy(shard, 'backup');
    for (const order_id of [...underWay, undone]) await copies.holdIn(0, 'backup', old, order_id);
    for (const shard of RESTORED) await own.query(shard, `UPDATE ${copies.schemaOf(shard, 'backup')}.cart SET state = 'open', decided_at = NULL`);
    await own.query(0, `UPDATE flow SET status = 'void' WHERE order_id = '${undone}'`);
    await own.query(0, `UPDATE stock SET leaved_amount = leaved_amount + 4 WHERE sku_id = '${old}'`);

    await gateway.openSku(late, 30);
    await deduct('new', [late, 4]);
    for (const [shard, name] of ['cart at home', 'cart on the other', 'cart elsewhere'].entries()) await deduct(skuOn(shard, name, OWN), [old, 1 + shard], [elsewhere, 1], [other, 2]);
    await deduct('empties', [emptied, 60]);
    await adjust(emptied, 'in', 20);
    await deduct('of the restock', [emptied, 15]);
    await adjust(emptied, 'out', -5);
    await send('/v1/returns', { return_id: 'r1', sku_id: old, order_detail_id: 'early-0', quantity: 2 });
    await send('/v1/returns', { return_id: 'r2', sku_id: late, order_detail_id: 'new-0', quantity: 1 });
    await send('/v1/cancellations', { order_id: 'gone', lines: [{ sku_id: old, order_detail_id: 'gone-0' }] });
    await send('/v1/cancellations', { order_id: 'never', lines: [{ sku_id: old, order_detail_id: 'never-0' }] });
    await deduct('sold and cancelled', [late, 6]);
    await send('/v1/returns', { return_id: 'of it', sku_id: late, order_detail_id: 'sold and cancelled-0', quantity: 1 });
    await send('/v1/cancellations', { order_id: 'sold and cancelled', lines: [{ sku_id: late, order_detail_id: 'sold and cancelled-0' }] });
    // Units that came back and were sold again, more than once; by their ids in another order.
    const around = sku(0, 'around');
    await gateway.openSku(around, 10);
    await deduct('z first', [around, 10]);
    await send('/v1/returns', { return_id: 'broken', sku_id: around, order_detail_id: 'z first-0', quantity: 2 });
    await adjust(around, 'broken', -2);
    await send('/v1/returns', { return_id: 'back', sku_id: around, order_detail_id: 'z first-0', quantity: 5 });
    await deduct('m second', [around, 5]);
    await send('/v1/returns', { return_id: 'back too', sku_id: around, order_detail_id: 'm second-0', quantity: 5 });
    await deduct('a third', [around, 5]);
    // Sold between two pauses.
    await sale(resumed, 'on');
    await deduct('while it was on', [resumed, 3]);
    await sale(resumed, 'paused');
    await sale(tomorrow, 'on', '2099-01-01T00:00:00.000Z');
    // More than one row has; units are fetched, and left over where they were fetched to.
    for (const order of [0, 1, 2]) await deduct(`of four rows ${order}`, [splitBefore, 16]);
    await split(splitSince, 4);
    for (const order of [0, 1, 2]) await deduct(`of new rows ${order}`, [splitSince, 3]);
    await eventually('it is merged', WAIT_MS, async () => (await gateway.client.call({ method: 'DELETE', url: `${gateway.adminUrl}${path(merged, '/hot')}` })).status === 200);
    await eventually('all is quiet', WAIT_MS, isQuiet);
    for (const shard of RESTORED) await copies.copy(shard, 'before');
    const before = await books('before');
    await sleep(MOVED_ON_MS);
    // The copy ended a moment ago; what is left of a crash has come as far as anybody has seen.
    await endBefore(600_000_000);
    for (const shard of RESTORED) await copies.restore(shard, 'backup');
    await eventually('they are refused', WAIT_MS, async () => (await statesOf()) === 'refused,refused,serving,serving');
    expect(await unlike(before)).not.to.deep.equal([]);

    const told = await command('--against', await against());
    expect(told.code, told.stderr).to.equal(1);
    for (const kind of ['sku', 'sale', 'flow', 'flow_state', 'pointer', 'return', 'adjustment', 'cart', 'transfer', 'layout']) expect(told.stdout, told.stderr).to.match(new RegExp(`^${kind}: `, 'm'));
    // Nothing is let go without a word, or by a state that is not known to be all of it.
    expect(told.stderr).to.match(/own-0 is not sold from/);
    expect(await statesOf()).to.equal('refused,refused,serving,serving');
    await endBefore(-1);
    const older = await command('--against', await against(), '--put-back');
    expect(older.code, older.stdout).to.equal(1);
    expect(older.stderr).to.match(/ends at .*, and it must reach/);
    await endBefore(1);
    const lagging = await command('--against', await against(), '--put-back');
    expect(lagging.code, lagging.stdout).to.equal(1);
    expect(lagging.stdout).to.match(/goes no further than/);
    expect(await unlike(before)).to.deep.equal([]);
    await endBefore(600_000_000);
    const done = await command('--against', await against(), '--put-back');
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    await eventually('they sell again', WAIT_MS, async () => (await statesOf()) === 'serving,serving,serving,serving');
    await deduct('of four rows 1', [splitBefore, 16]);
    await deduct('after all that', [splitSince, 5]);
    const audit = await runFile('scripts/reconcile.ts', [], own.environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
  }).timeout(120_000);

  it('keep what was done on them since, and are copied only once nobody sells from them', async () => {
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const [kept, lost, retried] = [skuOn(0, fresh('kept'), OWN), skuOn(0, fresh('lost'), OWN), skuOn(0, fresh('retried'), OWN)];
    for (const sku_id of [kept, lost, retried]) await gateway.openSku(sku_id, 10);
    // An attempt of a cart that was undone; the order comes again after the restore.
    await deduct(`${retried} sold since`, [retried, 2]);
    await own.query(0, `UPDATE flow SET status = 'void', attempt = 1 WHERE sku_id = '${retried}'`);
    await own.query(0, `UPDATE stock SET leaved_amount = 10 WHERE sku_id = '${retried}'`);
    await copies.copy(0, 'backup');
    await deduct(`${lost} sold`, [lost, 2]);
    await deduct(`${kept} sold`, [kept, 2]);
    for (const shard of RESTORED) await copies.copy(shard, 'before');
    for (const table of ['stock', 'flow']) {
      await own.query(0, `DELETE FROM ${table} WHERE sku_id IN ('${lost}', '${kept}')`);
      await own.query(0, `INSERT INTO ${table} SELECT * FROM ${copies.schemaOf(0, 'backup')}.${table} WHERE sku_id IN ('${lost}', '${kept}')`);
    }
    await deduct(`${kept} sold since`, [kept, 3]);
    await deduct(`${retried} sold since`, [retried, 2]);
    const file = await against();
    const tooEarly = await command('--shard', 'own-0', '--against', file, '--put-back');
    expect(tooEarly.code, tooEarly.stdout).to.equal(1);
    expect(tooEarly.stderr).to.match(/own-0 may be sold from now, so nothing is put back; --close it first/);
    const named = await command('--shard', 'own-0', '--against', file, '--since', since);
    expect(named.code, named.stdout).to.equal(1);
    expect(named.stderr).to.match(/own-0 is sold from, though \d+ things are missing; --close it/);
    expect((await command('--close')).stderr).to.match(/--close needs the names of shards/);
    expect((await command('--shard', 'own-0', '--close')).code).to.equal(0);
    await eventually('it is refused', WAIT_MS, async () => (await statesOf()) === 'refused,serving,serving,serving');
    const unsaid = await command('--against', file, '--put-back');
    expect(unsaid.code, unsaid.stdout).to.equal(1);
    expect(unsaid.stderr).to.match(/nobody saw own-0 go back, .*say with --since when the backup was made/);
    // As if another one had been copied before, which went further, and not to the end.
    await own.query(0, `UPDATE generation SET reached = ${HALF_COPIED} WHERE shard_index = 0`);
    await own.query(0, `UPDATE generation SET reached = ${(Date.now() + 60_000) * 1_000} WHERE shard_index = ${STATE_REACHED}`);
    for (const half of [await command('--accept'), await command('--put-back', '--accept')]) {
      expect(half.code, half.stdout).to.equal(1);
      expect(half.stderr).to.match(/own-0.*: a state before was copied over it and not to the end/);
    }
    const older = await command('--against', file, '--since', since, '--put-back');
    expect(older.code, older.stdout).to.equal(1);
    expect(older.stderr).to.match(/ends at .*, and it must reach/);
    expect(await statesOf()).to.equal('refused,serving,serving,serving');
    await own.query(0, `UPDATE generation SET reached = 0 WHERE shard_index = ${STATE_REACHED}`);
    const done = await command('--against', file, '--since', since, '--put-back');
    expect(done.code, done.stdout).to.equal(1);
    expect(done.stdout).to.match(/own-0 has something that the state before has not, of 2 SKUs; they are not copied: .*"kept.*/).and.to.match(/they are not copied: .*"retried/);
    expect((await command('--accept')).code).to.equal(0);
    await eventually('it sells again', WAIT_MS, async () => (await statesOf()) === 'serving,serving,serving,serving');
    const left = async (sku_id: string): Promise<unknown> => (await gateway.get(path(sku_id))).body?.leaved_amount;
    expect([await left(lost), await left(kept), await left(retried)]).to.deep.equal([8, 7, 8]);
    await deduct(`${lost} sold`, [lost, 2]);
    expect(await left(lost)).to.equal(8);
  }).timeout(120_000);

  it('are not sold from while a dump is loaded into them under gateways that run, once they are closed', async () => {
    const [sku_id, next] = [skuOn(0, fresh('dumped'), OWN), skuOn(1, fresh('not dumped'), OWN)];
    for (const one of [sku_id, next]) await gateway.openSku(one, 100);
    await deduct('before the dump', [sku_id, 5]);
    await sleep(MOVED_ON_MS);
    await copies.copy(0, 'backup');
    await deduct('after the dump', [sku_id, 7]);
    await copies.copy(0, 'before');
    await copies.copy(1, 'before');
    expect((await command('--shard', 'own-0', '--close')).code).to.equal(0);
    await eventually('it is refused', WAIT_MS, async () => (await statesOf()) === 'refused,serving,serving,serving');
    const newcomer = await startTestGateway({}, own);
    let orders = 0;
    const statuses = { dumped: new Set<number>(), next: new Set<number>() };
    const selling = new AbortController();
    const traffic = Promise.all([gateway, newcomer].map(async (seller) => {
      while (!selling.signal.aborted) {
        orders += 1;
        const [there, beside] = await Promise.all([sku_id, next].map((one) => seller.deduct({ sku_id: one, order_detail_id: `meanwhile ${orders}`, quantity: 1 })));
        statuses.dumped.add(there?.status ?? 0);
        statuses.next.add(beside?.status ?? 0);
        await sleep(100);
      }
    }));
    await copies.load(0, 'backup', LOAD_STEP_MS);
    await sleep(MOVED_ON_MS);
    selling.abort();
    await traffic;
    await newcomer.stop();
    expect([...statuses.dumped]).to.deep.equal([503]);
    expect(statuses.next.has(201)).to.equal(true);
    const done = await command('--shard', 'own-0', '--against', await against(), '--put-back', '--accept');
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    expect(done.stdout).to.match(/it had reached/);
    await eventually('it sells again', WAIT_MS, async () => (await statesOf()) === 'serving,serving,serving,serving');
    for (const order_id of ['before the dump', 'after the dump']) expect((await gateway.post('/v1/deductions', { order_id, lines: [{ sku_id, order_detail_id: `${order_id}-0`, quantity: order_id === 'after the dump' ? 7 : 5 }] })).status).to.equal(200);
    expect((await gateway.get(path(sku_id))).body?.leaved_amount).to.equal(88);
  }).timeout(120_000);

  it('are kept from gateways that nobody can tell what they had reached, where there is one alone', async () => {
    const alone = await ownShards({ count: 1, migrated: true });
    const state = await ShardCopies.of(alone);
    const since = new Date(Date.now() - CLOCKS_MS).toISOString();
    const ask = (...args: readonly string[]): Promise<Finished> => runFile('scripts/reconcile.ts', ['--restored', '--shard', 'own-0', ...args], alone.environment);
    const line = { sku_id: fresh('alone'), order_detail_id: 'd', quantity: 4 };
    let seller = await startTestGateway({}, alone);
    try {
      const stateOf = async (): Promise<{ state: string; reason: string }[]> => (await seller.adminGet('/v1/shards')).body?.shards as { state: string; reason: string }[];
      await seller.openSku(line.sku_id, 10);
      await state.copy(0, 'backup');
      expect((await seller.deduct(line, 'o')).status).to.equal(201);
      await sleep(MOVED_ON_MS);
      await seller.stop();
      await state.copy(0, 'before');
      await state.restore(0, 'backup');
      for (let time = 0; time < 2; time += 1) expect((await ask('--close')).code).to.equal(0);
      seller = await startTestGateway({}, alone);
      await eventually('it is refused', WAIT_MS, async () => (await stateOf())[0]?.state === 'refused');
      expect((await stateOf())[0]?.reason).to.match(/an operator keeps gateways from it/);
      expect((await seller.deduct(line, 'o')).status).to.equal(503);
      const [{ name, address: { host, port, user } } = { name: '', address: { host: '', port: 0, user: '' } }] = await alone.load();
      const primary = { host, port, user, schema: state.schemaOf(0, 'before'), passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' };
      const file = folder.write('alone.json', JSON.stringify({ initialShards: 1, shards: [{ name, primary, pool: { connections: 4, waiting: 100 } }] }));
      const copied = await ask('--against', file, '--since', since, '--put-back');
      // Nobody remembers how far it had come, so nobody knows whether that was all.
      expect(copied.code, copied.stdout).to.equal(1);
      expect(copied.stderr).to.match(/own-0 is not sold from: what was read may not be all/);
      expect((await stateOf())[0]?.state).to.equal('refused');
      expect((await ask('--accept')).code).to.equal(0);
      await eventually('it sells again', WAIT_MS, async () => (await stateOf())[0]?.state === 'serving');
      expect((await seller.deduct(line, 'o')).status).to.equal(200);
      expect((await seller.get(path(line.sku_id))).body?.leaved_amount).to.equal(6);
    } finally {
      await seller.stop();
      await state.drop();
      await alone.drop();
    }
  }).timeout(120_000);
});
