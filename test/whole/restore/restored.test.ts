import { cpSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { runFile } from '../../support/run/command.ts';
import type { Finished } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const SHARDS = 4;
/** Shards 0 and 1 lie on the server that is restored. */
const RESTORED = [0, 1];
const ORDERS = 1_000;
const CLIENTS = 16;
const WAIT_MS = 30_000;
/** Longer than the interval at which a shard's watermark rises and the other shards record it. */
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
  let older: TestGateway;
  let newer: TestGateway;
  const skus = Array.from({ length: SHARDS }, (_, shard) =>
    [`sku-${shard}-a`, `sku-${shard}-b`].map((name) => skuOn(shard, name, SHARDS)),
  ).flat();
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
    const body = {
      order_id,
      lines: lines.map(({ sku_id, order_detail_id, quantity }) => ({ sku_id, order_detail_id, quantity })),
    };
    for (;;) {
      const { status } = await gateway.post('/v1/deductions', body);
      if (status !== 503) return status;
    }
  };
  /** Sells orders, of which every fifth is a cart over two shards. */
  const sellMany = async (name: string, count: number, books: SoldLine[]): Promise<void> => {
    const numbers = Array.from({ length: count }, (_, number) => number).values();
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (const number of numbers) {
          const order_id = `${name}-${number}`;
          const line = (place: number): SoldLine => ({
            order_id,
            sku_id: skus[(number + place) % skus.length] ?? '',
            order_detail_id: `${order_id}-${place}`,
            quantity: 1 + (number % 3),
          });
          const lines = number % 5 === 0 ? [line(0), line(3)] : [line(0)];
          expect(await sell(older, lines)).to.equal(201);
          books.push(...lines);
        }
      }),
    );
  };
  const isOnRestored = ({ sku_id }: Pick<SoldLine, 'sku_id'>): boolean =>
    RESTORED.some((shard) => skus.indexOf(sku_id) >> 1 === shard);
  const command = (...args: string[]): Promise<Finished> =>
    runFile('src/commands/reconcile.ts', args, stack.environment);
  const statesOf = async (gateway: TestGateway): Promise<string[]> =>
    ((await gateway.adminGet('/v1/shards')).body?.shards as { state: string }[]).map(({ state }) => state);
  const whileStopped = async (work: () => void): Promise<void> => {
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
    stack = await startStack({ servers: 2, shardCount: SHARDS, dataDirectory: '.local', onProgress: () => undefined });
    older = await startTestGateway({}, stack);
    for (const sku_id of skus) await older.openSku(sku_id, 10_000);
    await sellMany('before', 100, soldBefore);
    await sleep(MOVED_ON_MS);
    dataDirectory = String((await query('SELECT @@datadir AS folder'))[0]?.['folder']).replace(/\/$/, '');
    await whileStopped(() => cpSync(dataDirectory, `${dataDirectory}.backup`, { recursive: true }));
    await eventually('every shard is served', WAIT_MS, async () =>
      (await statesOf(older)).every((state) => state === 'serving'),
    );
    await sellMany('after', ORDERS, soldAfter);
    left = await leftOf(older);
    await sleep(MOVED_ON_MS);
    await whileStopped(() => {
      rmSync(dataDirectory, { recursive: true });
      renameSync(`${dataDirectory}.backup`, dataDirectory);
    });
    newer = await startTestGateway({}, stack);
  });
  after(async () => {
    await older?.stop();
    await newer?.stop();
    await stack?.stop();
    folder.remove();
  });

  it('is not sold from, by old gateways and by new ones, while the other server is sold from', async () => {
    for (const gateway of [older, newer]) {
      await eventually(
        'both its shards are refused',
        WAIT_MS,
        async () => String(await statesOf(gateway)) === 'refused,refused,serving,serving',
      );
      const { body } = await gateway.adminGet('/v1/shards');
      expect((body?.shards as { reason: string }[])[0]?.reason)
        .to.match(/^it shows the state of \S+Z, but had reached \S+Z: it was restored from a backup, /)
        .and.to.match(/, and sales since then are missing, see .*reconcile -- --restored/);
      const {
        order_id = '',
        quantity = 0,
        ...key
      } = soldAfter.find(isOnRestored) ?? { sku_id: '', order_detail_id: '' };
      expect((await gateway.deduct({ ...key, quantity }, order_id)).status).to.equal(503);
      expect((await gateway.post('/v1/deductions/lookup', { lines: [key] })).status).to.equal(503);
      expect(
        (await gateway.deduct({ sku_id: skus[5] ?? '', order_detail_id: fresh('meanwhile'), quantity: 1 })).status,
      ).to.equal(201);
    }
    // Its watermark is not moved on in the meantime, because that would hide the restore.
    await sleep(MOVED_ON_MS);
    expect(String(await statesOf(newer))).to.equal('refused,refused,serving,serving');
  }).timeout(60_000);

  it('is not reopened before the shop has named the missing orders of one shard', async () => {
    const { code, stdout, stderr } = await command('--restored');
    expect(code, stderr).to.equal(1);
    expect(stderr)
      .to.match(/shard-00 stays refused/)
      .and.to.match(/shard-01 stays refused/);
    // Lines of carts over both servers are found without the shop.
    const ofCarts = soldAfter.filter(
      (line) =>
        isOnRestored(line) && soldAfter.some((other) => other.order_id === line.order_id && !isOnRestored(other)),
    );
    const named = ofCarts.filter(
      ({ order_detail_id }) =>
        stdout.includes(`order_detail_id "${order_detail_id}"`) ||
        stdout.includes(`cart: order_id "${order_detail_id.replace(/-\d$/, '')}"`),
    );
    expect(named).to.deep.equal(ofCarts);
    expect(String(await statesOf(older))).to.equal('refused,refused,serving,serving');
  }).timeout(60_000);

  it('lacks every order that was sold after the backup, and the orders of the shop name each of them', async () => {
    const books = [...soldBefore, ...soldAfter].map(
      ({ order_id, sku_id, order_detail_id, quantity }) => `${order_id},${sku_id},${order_detail_id},${quantity}`,
    );
    ordersFile = folder.write('orders.csv', `order_id,sku_id,order_detail_id,quantity\n${books.join('\n')}\n`);
    const { code, stdout } = await command('--restored', '--orders', ordersFile);
    expect(code).to.equal(1);
    const named = stdout.split('\n').flatMap((line) => /^flow: .*order_detail_id "([^"]+)"/.exec(line)?.[1] ?? []);
    expect(named.sort()).to.deep.equal(
      soldAfter
        .filter(isOnRestored)
        .map(({ order_detail_id }) => order_detail_id)
        .sort(),
    );
    expect(new Set(soldAfter.map(({ order_id }) => order_id)).size).to.equal(ORDERS);
  }).timeout(60_000);

  it('is sold from again when the missing orders are put back, and every order is a replay', async () => {
    const { code, stdout, stderr } = await command(
      '--restored',
      '--orders',
      ordersFile,
      '--put-back',
      '--accept',
      '--list',
      `${folder.path}/lost.jsonl`,
    );
    expect(code, stdout + stderr).to.equal(0);
    expect(stdout)
      .to.match(/is reopened/)
      .and.not.to.match(/not put back|outcome unknown/);
    for (const gateway of [older, newer])
      await eventually('every shard is served', WAIT_MS, async () =>
        (await statesOf(gateway)).every((state) => state === 'serving'),
      );
    const all = [...soldBefore, ...soldAfter];
    for (const [index, order_id] of [...new Set(all.map((line) => line.order_id))].entries()) {
      expect(
        await sell(
          index % 2 === 0 ? older : newer,
          all.filter((line) => line.order_id === order_id),
        ),
        order_id,
      ).to.equal(200);
    }
    const meanwhile = 2;
    expect(await leftOf(newer)).to.deep.equal(
      left.map((units, place) => (place === 5 ? Number(units) - meanwhile : units)),
    );
    const audit = await command();
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
    expect((await command('--restored')).stdout).to.match(/no shard is below the watermark/);
  }).timeout(120_000);

  it('is refused and can be reconciled while it is read only, and is then served again by itself', async function () {
    if (/mariadb/i.test(stack.cluster.product)) this.skip();
    await query('SET GLOBAL super_read_only = 1');
    try {
      await eventually('a shard is refused', WAIT_MS, async () => (await statesOf(older)).includes('refused'));
      const { order_detail_id, sku_id } = soldBefore[0] as SoldLine;
      expect((await older.post('/v1/deductions/lookup', { lines: [{ sku_id, order_detail_id }] })).status).to.be.oneOf([
        200, 503,
      ]);
      const audit = await command();
      expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
      expect((await command('--restored')).stdout).to.match(/no shard is below the watermark/);
    } finally {
      await query('SET GLOBAL read_only = 0');
    }
    await eventually('every shard is served', WAIT_MS, async () =>
      (await statesOf(older)).every((state) => state === 'serving'),
    );
  }).timeout(60_000);
});
