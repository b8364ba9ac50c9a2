import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { runFile } from './support/command.ts';
import { eventually } from './support/eventually.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { ownShards } from './support/ownShards.ts';
import type { OwnShards } from './support/ownShards.ts';
import { temporaryFolder } from './support/temporary.ts';
import { skuOn } from './support/traffic.ts';

const WAIT_MS = 30_000;
/** Longer than a shard goes without being moved on, and the others without hearing of it. */
const MOVED_ON_MS = 3_000;

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
    await send('/v1/returns', { return_id: 'broken', sku_id: around, order_detail_id: 'first-0', quantity: 2 });
    expect((await gateway.adminPost(`/v1/skus/${encodeURIComponent(around)}/adjustments`, { adjustment_id: 'broken', delta: -2 })).status).to.equal(201);
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
    // Of one that nobody saw go back no state is known to be all of it.
    const named = await runFile('scripts/reconcile.ts', ['--restored', '--shard', 'own-1', '--against', own.environment['STOCKGATE_SHARDS'] ?? '', '--put-back'], own.environment);
    expect(named.code, named.stdout).to.equal(1);
    expect(named.stderr).to.match(/own-1 is not sold from/);
    expect(taken.stdout).to.match(/^paused, because .*split/m);
    await eventually('it is not sold', WAIT_MS, async () => (await gateway.deduct({ sku_id: split, order_detail_id: fresh('d'), quantity: 1 })).body?.code === 'not_on_sale');
    expect((await runFile('scripts/reconcile.ts', ['--accept'], own.environment)).code).to.equal(1);
  }).timeout(120_000);
});
