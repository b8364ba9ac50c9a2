import { cpSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { startStack } from '../scripts/support/stack.ts';
import type { Stack } from '../scripts/support/stack.ts';
import { runFile } from './support/command.ts';
import type { Finished } from './support/command.ts';
import { eventually } from './support/eventually.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { ownShards } from './support/ownShards.ts';
import type { OwnShards } from './support/ownShards.ts';
import { temporaryFolder } from './support/temporary.ts';
import { skuOn } from './support/traffic.ts';

const SHARDS = 4;
/** Shards 0 and 1 lie on the server that is restored. */
const RESTORED = [0, 1];
const ORDERS = 1_000;
const CLIENTS = 16;
const WAIT_MS = 30_000;
/** Longer than a shard goes without being moved on, and the others without hearing of it. */
const MOVED_ON_MS = 3_000;

interface SoldLine {
  readonly order_id: string;
  readonly sku_id: string;
  readonly order_detail_id: string;
  readonly quantity: number;
}

describe('a server restored from a backup', () => {
  const folder = temporaryFolder();
  let stack: Stack;
  let seasoned: TestGateway;
  let newcomer: TestGateway;
  const skus = Array.from({ length: SHARDS }, (_, shard) => [`shelf-${shard}-a`, `shelf-${shard}-b`].map((name) => skuOn(shard, name, SHARDS))).flat();
  const soldBefore: SoldLine[] = [];
  const soldAfter: SoldLine[] = [];
  let left: unknown[] = [];
  let dataDirectory = '';
  let ordersFile = '';

  const query = async (sql: string): Promise<RowDataPacket[]> => {
    const [{ host, port, user, password } = { host: '', port: 0, user: '', password: '' }] = stack.cluster.servers;
    const connection = await mysql.createConnection({ host, port, user, password });
    try {
      return (await connection.query<RowDataPacket[]>(sql))[0];
    } finally {
      await connection.end();
    }
  };
  const sell = async (gateway: TestGateway, lines: readonly SoldLine[]): Promise<number> => {
    const [{ order_id } = { order_id: '' }] = lines;
    const body = { order_id, lines: lines.map(({ sku_id, order_detail_id, quantity }) => ({ sku_id, order_detail_id, quantity })) };
    for (;;) {
      const { status } = await gateway.post('/v1/deductions', body);
      if (status !== 503) return status;
    }
  };
  /** Every fifth is a cart over two shards. */
  const sellMany = async (name: string, count: number, books: SoldLine[]): Promise<void> => {
    const numbers = Array.from({ length: count }, (_, number) => number).values();
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (const number of numbers) {
          const order_id = `${name}-${number}`;
          const line = (place: number): SoldLine => ({ order_id, sku_id: skus[(number + place) % skus.length] ?? '', order_detail_id: `${order_id}-${place}`, quantity: 1 + (number % 3) });
          const lines = number % 5 === 0 ? [line(0), line(3)] : [line(0)];
          expect(await sell(seasoned, lines)).to.equal(201);
          books.push(...lines);
        }
      }),
    );
  };
  const isOnRestored = ({ sku_id }: Pick<SoldLine, 'sku_id'>): boolean => RESTORED.some((shard) => skus.indexOf(sku_id) >> 1 === shard);
  const command = (...args: string[]): Promise<Finished> => runFile('scripts/reconcile.ts', args, stack.environment);
  const statesOf = async (gateway: TestGateway): Promise<string[]> => ((await gateway.adminGet('/v1/shards')).body?.shards as { state: string }[]).map(({ state }) => state);
  const fromBackup = async (work: () => void): Promise<void> => {
    await stack.cluster.servers[0]?.stop();
    work();
    await stack.cluster.servers[0]?.start();
  };
  const leftOf = async (gateway: TestGateway): Promise<unknown[]> => {
    const left: unknown[] = [];
    for (const sku_id of skus) left.push((await gateway.get(`/v1/skus/${sku_id}`)).body?.leaved_amount);
    return left;
  };

  before(async function () {
    this.timeout(600_000);
    stack = await startStack({ servers: 2, shardCount: SHARDS, dataDirectory: '.local', say: () => undefined });
    seasoned = await startTestGateway({}, stack);
    for (const sku_id of skus) await seasoned.openSku(sku_id, 10_000);
    await sellMany('before', 100, soldBefore);
    await sleep(MOVED_ON_MS);
    dataDirectory = String((await query('SELECT @@datadir AS folder'))[0]?.['folder']).replace(/\/$/, '');
    await fromBackup(() => cpSync(dataDirectory, `${dataDirectory}.backup`, { recursive: true }));
    await eventually('it sells again', WAIT_MS, async () => (await statesOf(seasoned)).every((state) => state === 'serving'));
    await sellMany('after', ORDERS, soldAfter);
    left = await leftOf(seasoned);
    await sleep(MOVED_ON_MS);
    await fromBackup(() => {
      rmSync(dataDirectory, { recursive: true });
      renameSync(`${dataDirectory}.backup`, dataDirectory);
    });
    newcomer = await startTestGateway({}, stack);
  });
  after(async () => {
    await seasoned?.stop();
    await newcomer?.stop();
    await stack?.stop();
    folder.remove();
  });

  it('is not sold from, by gateways that saw it before and by those that did not; the other one is', async () => {
    for (const gateway of [seasoned, newcomer]) {
      await eventually('it is refused', WAIT_MS, async () => String(await statesOf(gateway)) === 'refused,refused,serving,serving');
      const { body } = await gateway.adminGet('/v1/shards');
      expect((body?.shards as { reason: string }[])[0]?.reason).to.match(/^it shows what was true at \S+Z and had reached \S+Z: it was restored from a backup;.*reconcile -- --restored/);
      const { order_id = '', quantity = 0, ...key } = soldAfter.find(isOnRestored) ?? { sku_id: '', order_detail_id: '' };
      expect((await gateway.deduct({ ...key, quantity }, order_id)).status).to.equal(503);
      expect((await gateway.post('/v1/deductions/lookup', { lines: [key] })).status).to.equal(503);
      expect((await gateway.deduct({ sku_id: skus[5] ?? '', order_detail_id: fresh('meanwhile'), quantity: 1 })).status).to.equal(201);
    }
    // It is not moved on meanwhile: that would hide it.
    await sleep(MOVED_ON_MS);
    expect(String(await statesOf(newcomer))).to.equal('refused,refused,serving,serving');
  }).timeout(60_000);

  it('is not let go before somebody has said what single orders are missing', async () => {
    const { code, stdout, stderr } = await command('--restored');
    expect(code, stderr).to.equal(1);
    expect(stderr).to.match(/shard-00 is not sold from/).and.to.match(/shard-01 is not sold from/);
    // What carts over both servers have sold is known without the shop.
    const ofCarts = soldAfter.filter((line) => isOnRestored(line) && soldAfter.some((other) => other.order_id === line.order_id && !isOnRestored(other)));
    const named = ofCarts.filter(({ order_detail_id }) => stdout.includes(`order_detail_id "${order_detail_id}"`) || stdout.includes(`cart: order_id "${order_detail_id.replace(/-\d$/, '')}"`));
    expect(named).to.deep.equal(ofCarts);
    expect(String(await statesOf(seasoned))).to.equal('refused,refused,serving,serving');
  }).timeout(60_000);

  it('lacks every order that was sold after the backup, each of which is named by the books of the shop', async () => {
    const books = [...soldBefore, ...soldAfter].map(({ order_id, sku_id, order_detail_id, quantity }) => `${order_id},${sku_id},${order_detail_id},${quantity}`);
    ordersFile = folder.write('orders.csv', `order_id,sku_id,order_detail_id,quantity\n${books.join('\n')}\n`);
    const { code, stdout } = await command('--restored', '--orders', ordersFile);
    expect(code).to.equal(1);
    const named = stdout.split('\n').flatMap((line) => /^flow: .*order_detail_id "([^"]+)"/.exec(line)?.[1] ?? []);
    expect(named.sort()).to.deep.equal(soldAfter.filter(isOnRestored).map(({ order_detail_id }) => order_detail_id).sort());
    expect(new Set(soldAfter.map(({ order_id }) => order_id)).size).to.equal(ORDERS);
  }).timeout(60_000);

  it('is sold from again when they are brought back, and every order is a replay', async () => {
    const { code, stdout, stderr } = await command('--restored', '--orders', ordersFile, '--put-back', '--accept', '--list', `${folder.path}/lost.jsonl`);
    expect(code, stdout + stderr).to.equal(0);
    expect([...stdout.matchAll(/brought back: (\d+) of (\d+)/g)].every(([, done, all]) => done === all && Number(all) > 0), stdout).to.equal(true);
    for (const gateway of [seasoned, newcomer]) await eventually('it sells again', WAIT_MS, async () => (await statesOf(gateway)).every((state) => state === 'serving'));
    const all = [...soldBefore, ...soldAfter];
    for (const [index, order_id] of [...new Set(all.map((line) => line.order_id))].entries()) {
      expect(await sell(index % 2 === 0 ? seasoned : newcomer, all.filter((line) => line.order_id === order_id)), order_id).to.equal(200);
    }
    const meanwhile = 2;
    expect(await leftOf(newcomer)).to.deep.equal(left.map((units, place) => (place === 5 ? Number(units) - meanwhile : units)));
    const audit = await command();
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
    expect((await command('--restored')).stdout).to.match(/no shard shows less/);
  }).timeout(120_000);

  it('goes on being read where nothing can be written, and so cannot be moved on', async function () {
    const readOnly = (is: 0 | 1): Promise<unknown> => query(`SET GLOBAL super_read_only = ${is}`);
    if (/mariadb/i.test(stack.cluster.product)) this.skip();
    await readOnly(1);
    try {
      for (const untilMs = performance.now() + MOVED_ON_MS; performance.now() < untilMs; await sleep(20)) {
        const { order_detail_id, sku_id } = soldBefore[0] as SoldLine;
        expect((await seasoned.post('/v1/deductions/lookup', { lines: [{ sku_id, order_detail_id }] })).status).to.equal(200);
      }
      expect((await statesOf(seasoned)).every((state) => state === 'serving')).to.equal(true);
    } finally {
      await query('SET GLOBAL read_only = 0');
    }
  }).timeout(60_000);
});

describe('what a restored shard lacks, by the state before', () => {
  const OWN = 3;
  const folder = temporaryFolder();
  let own: OwnShards;
  let gateway: TestGateway;
  let schemas: string[] = [];

  const tablesOf = async (shard: number): Promise<string[]> =>
    (await own.query(shard, "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'")).map(({ name }) => String(name));
  const copy = async (shard: number, as: string): Promise<void> => {
    await own.query(shard, `CREATE DATABASE ${as}`);
    for (const table of await tablesOf(shard)) {
      await own.query(shard, `CREATE TABLE ${as}.${table} LIKE ${table}`);
      await own.query(shard, `INSERT INTO ${as}.${table} SELECT * FROM ${table}`);
    }
  };
  const restore = async (shard: number, from: string): Promise<void> => {
    for (const table of await tablesOf(shard)) {
      await own.query(shard, `DELETE FROM ${table}`);
      await own.query(shard, `INSERT INTO ${table} SELECT * FROM ${from}.${table}`);
    }
  };
  const booksOf = async (shard: number): Promise<string> => {
    const flows = await own.query(shard, "SELECT HEX(sku_id), HEX(order_detail_id), HEX(order_id), quantity, returned, status FROM flow WHERE status <> 'void' ORDER BY sku_id, order_detail_id");
    const left = await own.query(shard, 'SELECT HEX(sku_id), sub_row, leaved_amount, held_amount FROM stock ORDER BY sku_id, sub_row');
    const rest = await own.query(shard, "SELECT HEX(order_id), attempt, state FROM cart WHERE state = 'committed' ORDER BY order_id, attempt");
    const returns = await own.query(shard, 'SELECT HEX(sku_id), HEX(return_id), quantity FROM flow_return ORDER BY sku_id, return_id');
    return JSON.stringify([flows, left, rest, returns], null, 1);
  };
  const send = async (path: string, body: unknown): Promise<void> => {
    await eventually(`${path} is done`, WAIT_MS, async () => (await gateway.post(path, body)).status < 300);
  };
  const deduct = (order_id: string, ...lines: readonly (readonly [sku_id: string, quantity: number])[]): Promise<void> =>
    send('/v1/deductions', { order_id, lines: lines.map(([sku_id, quantity], place) => ({ sku_id, order_detail_id: `${order_id}-${place}`, quantity })) });

  before(async function () {
    this.timeout(120_000);
    own = await ownShards({ count: OWN, migrated: true });
    gateway = await startTestGateway({}, own);
    schemas = (await own.load()).map(({ address }) => address.schema);
  });
  after(async () => {
    await gateway.stop();
    for (const suffix of ['backup', 'before']) await own.query(0, `DROP DATABASE IF EXISTS ${schemas[0]}_${suffix}`);
    await own.drop();
    folder.remove();
  });

  it('is done again: SKUs, restocks, write-offs, sales, carts, returns and cancellations', async () => {
    const [old, emptied, elsewhere] = [skuOn(0, fresh('old'), OWN), skuOn(0, fresh('emptied'), OWN), skuOn(1, fresh('elsewhere'), OWN)];
    const late = skuOn(0, fresh('late'), OWN);
    for (const sku_id of [old, emptied, elsewhere]) await gateway.openSku(sku_id, 50);
    await deduct('early', [old, 5]);
    await deduct('gone', [old, 2]);
    const [heldHere, heldThere] = [skuOn(0, 'held, record here', OWN), skuOn(2, 'held, record elsewhere', OWN)];
    for (const order_id of [heldHere, heldThere]) await deduct(order_id, [old, 3], [elsewhere, 1]);
    await eventually('they are settled', WAIT_MS, async () => (await own.query(0, "SELECT 1 FROM flow WHERE status = 'pending'")).length === 0);
    await copy(0, `${schemas[0]}_backup`);
    // It was made while those two carts were under way.
    const [{ attempt } = { attempt: 0 }] = await own.query(0, `SELECT attempt FROM cart WHERE order_id = '${heldHere}'`);
    for (const order_id of [heldHere, heldThere]) {
      const flow = `${schemas[0]}_backup.flow SET status = 'pending' WHERE order_id = '${order_id}'`;
      await own.query(0, `UPDATE ${flow}`);
      await own.query(0, `INSERT INTO ${schemas[0]}_backup.cart_hold (sku_id, order_detail_id, order_id, attempt) SELECT sku_id, order_detail_id, order_id, attempt FROM flow WHERE order_id = '${order_id}'`);
    }
    await own.query(0, `UPDATE ${schemas[0]}_backup.stock SET held_amount = 6 WHERE sku_id = '${old}'`);
    await own.query(0, `UPDATE ${schemas[0]}_backup.cart SET state = 'open', decided_at = NULL WHERE order_id = '${heldHere}' AND attempt = ${attempt}`);

    await gateway.openSku(late, 30);
    await deduct('new', [late, 4]);
    await deduct(skuOn(0, 'cart at home', OWN), [old, 1], [elsewhere, 1]);
    await deduct(skuOn(2, 'cart elsewhere', OWN), [old, 2], [elsewhere, 2]);
    await deduct('empties', [emptied, 50]);
    expect((await gateway.adminPost(`/v1/skus/${encodeURIComponent(emptied)}/adjustments`, { adjustment_id: 'in', delta: 20, reason: 'found' })).status).to.equal(201);
    await deduct('of the restock', [emptied, 15]);
    expect((await gateway.adminPost(`/v1/skus/${encodeURIComponent(emptied)}/adjustments`, { adjustment_id: 'out', delta: -5 })).status).to.equal(201);
    await send('/v1/returns', { return_id: 'r1', sku_id: old, order_detail_id: 'early-0', quantity: 2 });
    await send('/v1/returns', { return_id: 'r2', sku_id: late, order_detail_id: 'new-0', quantity: 1 });
    await send('/v1/cancellations', { order_id: 'gone', lines: [{ sku_id: old, order_detail_id: 'gone-0' }] });
    await send('/v1/cancellations', { order_id: 'never', lines: [{ sku_id: old, order_detail_id: 'never-0' }] });
    await deduct('sold and cancelled', [late, 6]);
    await send('/v1/returns', { return_id: 'of it', sku_id: late, order_detail_id: 'sold and cancelled-0', quantity: 1 });
    await send('/v1/cancellations', { order_id: 'sold and cancelled', lines: [{ sku_id: late, order_detail_id: 'sold and cancelled-0' }] });
    // Units that came back and were sold again, twice: in what order is not written anywhere.
    const around = skuOn(0, fresh('around'), OWN);
    await gateway.openSku(around, 10);
    await deduct('first', [around, 10]);
    await send('/v1/returns', { return_id: 'back', sku_id: around, order_detail_id: 'first-0', quantity: 5 });
    await deduct('second', [around, 5]);
    await send('/v1/returns', { return_id: 'back too', sku_id: around, order_detail_id: 'second-0', quantity: 5 });
    await deduct('third', [around, 5]);
    await eventually('it is settled', WAIT_MS, async () => (await own.query(0, "SELECT 1 FROM flow WHERE status = 'pending'")).length === 0);
    const books = await booksOf(0);
    await copy(0, `${schemas[0]}_before`);
    await sleep(MOVED_ON_MS);
    // The copy ended a moment ago; what is left of a crash has come as far as anybody has seen.
    await own.query(0, `UPDATE ${schemas[0]}_before.generation SET reached = reached + 10000000 WHERE shard_index = 0`);
    await restore(0, `${schemas[0]}_backup`);
    await eventually('it is refused', WAIT_MS, async () => String(((await gateway.adminGet('/v1/shards')).body?.shards as { state: string }[]).map(({ state }) => state)) === 'refused,serving,serving');
    expect(await booksOf(0)).not.to.equal(books);

    const { shards, initialShards } = { shards: await own.load(), initialShards: OWN };
    const against = folder.write(
      'before.json',
      JSON.stringify({
        initialShards,
        shards: shards.map(({ name, address: { host, port, user, schema } }, shard) => ({
          name,
          primary: { host, port, user, schema: shard === 0 ? `${schema}_before` : schema, passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' },
          pool: { connections: 4, waiting: 100 },
        })),
      }),
    );
    const told = await runFile('scripts/reconcile.ts', ['--restored', '--against', against], own.environment);
    expect(told.code, told.stderr).to.equal(1);
    for (const kind of ['sku', 'flow', 'flow_state', 'return', 'adjustment', 'cart']) expect(told.stdout, told.stderr).to.match(new RegExp(`^${kind}: `, 'm'));
    // Nothing is let go without a word.
    expect(told.stderr).to.match(/own-0 is not sold from/);
    await own.query(0, `UPDATE ${schemas[0]}_before.generation SET reached = reached - 60000000 WHERE shard_index = 0`);
    const lagging = await runFile('scripts/reconcile.ts', ['--restored', '--against', against, '--put-back'], own.environment);
    expect(lagging.code, lagging.stdout).to.equal(1);
    expect(lagging.stdout).to.match(/goes no further than/);
    await own.query(0, `UPDATE ${schemas[0]}_before.generation SET reached = reached + 60000000 WHERE shard_index = 0`);
    const done = await runFile('scripts/reconcile.ts', ['--restored', '--against', against, '--put-back'], own.environment);
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    expect(await booksOf(0)).to.equal(books);
    await eventually('it sells again', WAIT_MS, async () => (await gateway.get(`/v1/skus/${encodeURIComponent(old)}`)).status === 200);
    const audit = await runFile('scripts/reconcile.ts', [], own.environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
  }).timeout(120_000);

  it('is told of split SKUs: layouts that are not written down, and units that went or came', async () => {
    const split = skuOn(0, fresh('split'), OWN);
    await gateway.openSku(split, 90);
    await own.query(0, `DROP DATABASE ${schemas[0]}_backup`);
    await copy(0, `${schemas[0]}_backup`);
    await eventually('it is split', WAIT_MS, async () => (await gateway.adminPut(`/v1/skus/${encodeURIComponent(split)}/hot`, { sub_rows: 3 })).status === 200);
    await eventually('units went to the others', WAIT_MS, async () => (await own.query(1, `SELECT 1 FROM transfer WHERE sku_id = '${split}' AND is_open = 0`)).length > 0);
    await sleep(MOVED_ON_MS);
    await restore(0, `${schemas[0]}_backup`);
    const { code, stdout } = await runFile('scripts/reconcile.ts', ['--restored'], own.environment);
    expect(code).to.equal(1);
    expect(stdout).to.match(new RegExp(`^layout: sku_id "${split}"`, 'm')).and.to.match(new RegExp(`^transfer: sku_id "${split}", .*quantity -\\d+`, 'm'));
    const taken = await runFile('scripts/reconcile.ts', ['--restored', '--shard', 'own-0', '--accept'], own.environment);
    expect(taken.code).to.equal(0);
    expect(taken.stdout).to.match(/^paused, because .*split/m);
    await eventually('it is not sold', WAIT_MS, async () => (await gateway.deduct({ sku_id: split, order_detail_id: fresh('d'), quantity: 1 })).body?.code === 'not_on_sale');
    expect((await runFile('scripts/reconcile.ts', ['--accept'], own.environment)).code).to.equal(1);
  }).timeout(120_000);
});
