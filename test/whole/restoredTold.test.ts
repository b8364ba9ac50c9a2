import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { pino } from 'pino';
import { subRowOf } from '../../src/core/layout.ts';
import type { Transfer } from '../../src/core/nouns.ts';
import { BatchingEngine } from '../../src/mysql/batching/batchingEngine.ts';
import { supervise } from '../../scripts/cluster/supervise.ts';
import { bundled } from '../../scripts/support/bundle.ts';
import { runFile } from '../support/command.ts';
import { openShards } from '../support/engines.ts';
import { eventually } from '../support/eventually.ts';
import { fresh } from '../support/gateway.ts';
import { MOVED_ON_MS, orderOf, RestoredBench, skuPath } from '../support/restoredBench.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { skuOn } from '../support/traffic.ts';

const WAIT_MS = 30_000;
/** Longer than the command takes. */
const UNREAD_MS = 5_000;
/** Lines that neither the pipe nor the buffers at its ends can hold: about 100 bytes each. */
const UNTOLD = 8_000;

describe('a restored shard, by what the others and the shop know', () => {
  const OWN = 3;
  const folder = temporaryFolder();
  let bench: RestoredBench;
  let sold: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'warn' },
    new Writable({
      write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as Record<string, unknown>)),
    }),
  );

  const deduct = async (
    order_id: string,
    ...lines: readonly (readonly [sku_id: string, quantity: number])[]
  ): Promise<void> => {
    await bench.deduct(order_id, ...lines);
    sold.push(
      ...orderOf(order_id, lines).lines.map(
        (line) => `${order_id},${line.sku_id},${line.order_detail_id},${line.quantity}`,
      ),
    );
  };
  const again = async (): Promise<number[]> => {
    const statuses: number[] = [];
    for (const line of sold) {
      const [order_id = '', sku_id, order_detail_id, quantity] = line.split(',');
      const { status } = await bench.gateway.post('/v1/deductions', {
        order_id,
        lines: [{ sku_id, order_detail_id, quantity: Number(quantity) }],
      });
      statuses.push(status);
    }
    return statuses;
  };
  const split = async (sku_id: string): Promise<void> => {
    await eventually(
      'it is split',
      WAIT_MS,
      async () => (await bench.gateway.adminPut(skuPath(sku_id, '/hot'), { sub_rows: 3 })).status === 200,
    );
    await eventually(
      'all is quiet',
      WAIT_MS,
      async () =>
        (await bench.own.query(0, "SELECT 1 FROM hot_sku WHERE state <> 'open' OR earlier <> '[]'")).length === 0,
    );
    await eventually('nothing is on its way', WAIT_MS, async () => {
      for (let shard = 0; shard < OWN; shard += 1)
        if ((await bench.own.query(shard, 'SELECT 1 FROM transfer WHERE is_open = 1')).length > 0) return false;
      return true;
    });
  };
  const restored = async (): Promise<void> => {
    await eventually(
      'it is settled',
      WAIT_MS,
      async () => (await bench.own.query(0, "SELECT 1 FROM flow WHERE status = 'pending'")).length === 0,
    );
    await sleep(MOVED_ON_MS);
    await bench.copies.restore(0, 'backup');
    await eventually('it is refused', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'refused');
  };

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN, log);
  });
  beforeEach(() => {
    sold = [];
  });
  after(async () => {
    await bench.stop();
    folder.remove();
  });

  it('sells again what it sold, out of the rows of split SKUs too and past holds from the time of the backup', async () => {
    const [plain, lying, elsewhere] = [
      skuOn(0, fresh('plain'), OWN),
      skuOn(0, fresh('lying on all'), OWN),
      skuOn(1, fresh('elsewhere'), OWN),
    ];
    for (const sku_id of [plain, elsewhere]) await bench.gateway.openSku(sku_id, 20);
    await bench.gateway.openSku(lying, 90);
    await split(lying);
    const [open, settled] = [skuOn(0, 'open in the backup', OWN), skuOn(2, 'record elsewhere', OWN)];
    for (const order_id of [open, settled]) await deduct(order_id, [plain, 3], [elsewhere, 1]);
    await eventually(
      'it is settled',
      WAIT_MS,
      async () => (await bench.own.query(0, "SELECT 1 FROM flow WHERE status = 'pending'")).length === 0,
    );
    await bench.copies.copy(0, 'backup');
    for (const order_id of [open, settled]) await bench.copies.holdIn(0, 'backup', plain, order_id);
    await bench.own.query(0, `UPDATE ${bench.copies.schemaOf(0, 'backup')}.cart SET state = 'open', decided_at = NULL`);
    // One was held then and undone since: its units were sold to others, and its line by another order.
    await bench.own.query(
      0,
      `INSERT INTO ${bench.copies.schemaOf(0, 'backup')}.flow (sku_id, order_detail_id, order_id, quantity, attempt) VALUES ('${plain}', 'takes all-0', 'undone', 6, 1)`,
    );
    await bench.own.query(
      0,
      `UPDATE ${bench.copies.schemaOf(0, 'backup')}.stock SET leaved_amount = leaved_amount - 6 WHERE sku_id = '${plain}'`,
    );
    await bench.copies.holdIn(0, 'backup', plain, 'undone');

    await deduct('takes all', [plain, 14]);
    for (let order = 0; order < 9; order += 1) await deduct(`of a split SKU ${order}`, [lying, 9]);
    await restored();
    const orders = folder.write('orders.csv', `order_id,sku_id,order_detail_id,quantity\n${sold.join('\n')}\n`);
    const { code, stdout, stderr } = await bench.command('--orders', orders, '--put-back', '--accept');
    expect(code, stdout + stderr).to.equal(0);
    expect(stdout, stdout)
      .to.match(/own-0 is sold from again$/m)
      .and.not.to.match(/not brought back/);
    await eventually('it sells again', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
    expect([await bench.leftOf(plain), await bench.leftOf(lying)]).to.deep.equal([0, 9]);
    expect(await again()).to.deep.equal(sold.map(() => 200));
    expect([await bench.leftOf(plain), await bench.leftOf(lying)]).to.deep.equal([0, 9]);
    const audit = await runFile('scripts/reconcile.ts', [], bench.own.environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
  }).timeout(120_000);

  it('is asked about the whole past when nobody saw it go back, or about what is said with --since', async () => {
    const [lying, cart, more] = [
      skuOn(0, fresh('on all'), OWN),
      skuOn(1, fresh('of a cart'), OWN),
      skuOn(2, fresh('more of it'), OWN),
    ];
    await bench.gateway.openSku(lying, 90);
    for (const sku_id of [cart, more]) await bench.gateway.openSku(sku_id, 20);
    await split(lying);
    await sleep(1_100);
    await bench.copies.copy(0, 'backup');
    for (let order = 0; order < 8; order += 1) await deduct(`unseen ${order}`, [lying, 9]);
    await deduct(skuOn(0, 'unseen cart', OWN), [cart, 2], [more, 1]);
    await eventually(
      'it is settled',
      WAIT_MS,
      async () => (await bench.own.query(0, "SELECT 1 FROM flow WHERE status = 'pending'")).length === 0,
    );
    // Long ago, and as far as the shard shows it never happened.
    for (let shard = 0; shard < OWN; shard += 1)
      for (const table of ['transfer', 'flow'])
        await bench.own.query(
          shard,
          `UPDATE ${table} SET created_at = created_at - INTERVAL 3 HOUR WHERE sku_id IN ('${lying}', '${cart}', '${more}')`,
        );
    await bench.own.query(1, `UPDATE hot_sku SET changed_at = changed_at - INTERVAL 6 HOUR`);
    await bench.copies.restore(0, 'backup', ['generation']);
    await eventually(
      'it is sold from: nobody saw it',
      WAIT_MS,
      async () => (await bench.shardStates())[0]?.state === 'serving',
    );
    const orders = folder.write('unseen.csv', `order_id,sku_id,order_detail_id,quantity\n${sold.join('\n')}\n`);
    expect((await bench.command('--shard', 'own-0', '--close')).code).to.equal(0);
    await eventually('it is refused', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'refused');
    // Accepted too early, and closed again.
    expect((await bench.command('--shard', 'own-0', '--accept')).code).to.equal(0);
    await eventually('it sells', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
    await bench.own.query(0, "UPDATE stock SET sale_state = 'on'");
    await bench.own.query(1, "UPDATE stock SET sale_state = 'on'");
    await bench.own.query(2, "UPDATE stock SET sale_state = 'on'");
    expect((await bench.command('--shard', 'own-0', '--close')).code).to.equal(0);
    await eventually('it is refused', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'refused');
    const told = await bench.command();
    expect(told.stdout)
      .to.match(/since when something is missing is not known, and --since can say it/)
      .and.to.match(/^transfer: /m)
      .and.to.match(/^cart: order_id "unseen cart/m);
    const since = new Date(Date.now() - 4 * 60 * 60 * 1_000).toISOString();
    await bench.own.query(0, `UPDATE hot_sku SET changed_at = changed_at - INTERVAL 6 HOUR`);
    const { code, stdout, stderr } = await bench.command(
      '--shard',
      'own-0',
      '--orders',
      orders,
      '--since',
      since,
      '--put-back',
      '--accept',
    );
    expect(code, stdout + stderr).to.equal(0);
    await eventually('it sells again', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
    expect(await bench.leftOf(lying)).to.equal(18);
    expect(await again()).to.deep.equal(sold.map(() => 200));
    expect(await bench.leftOf(lying)).to.equal(18);
    const audit = await runFile('scripts/reconcile.ts', [], bench.own.environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
    expect((await bench.command('--since', 'yesterday')).code).to.equal(1);
  }).timeout(120_000);

  it('fetches what a row lacks by now, because units went to other rows before anybody noticed', async () => {
    const lying = skuOn(0, fresh('levelled'), OWN);
    await bench.gateway.openSku(lying, 90);
    await split(lying);
    const shards = openShards({ shards: await bench.own.load(), initialShards: OWN });
    const engine = new BatchingEngine(shards);
    const places = JSON.parse(
      String((await bench.own.query(0, `SELECT places FROM hot_sku WHERE sku_id = '${lying}'`))[0]?.['places']),
    ) as number[];
    const here = places.indexOf(0);
    const there = (here + 1) % OWN;
    const place = (sub_row: number): { shard: number; sub_row: number } => ({ shard: places[sub_row] ?? 0, sub_row });
    const transfer = (transfer_id: string, from: number, to: number, amount: number): Transfer => ({
      sku_id: lying,
      transfer_id: transfer_id.repeat(32),
      amount,
      from: place(from),
      to: place(to),
    });
    const send = async (moved: Transfer): Promise<void> => {
      expect(
        (
          await engine.apply(moved.from.shard, [{ kind: 'send', ...moved, epoch: null }], performance.now() + WAIT_MS)
        )[0]?.is,
      ).to.equal('applied');
      expect(
        (await engine.apply(moved.to.shard, [{ kind: 'receive', ...moved }], performance.now() + WAIT_MS))[0]?.is,
      ).to.equal('applied');
    };
    try {
      await bench.copies.copy(0, 'backup');
      await send(transfer('a', there, here, 12));
      const own = Array.from({ length: 200 }, (_, number) => `levelled ${number}`).filter(
        (order_id) => subRowOf(`${order_id}-0`, OWN) === here,
      );
      for (const order_id of own.slice(0, 4)) await deduct(order_id, [lying, 9]);
      await send(transfer('b', here, there, 4));
      await bench.own.query(0, `UPDATE transfer SET is_open = 0 WHERE sku_id = '${lying}'`);
      const left = await bench.leftOf(lying);
      await restored();
      // It had come in, and the row that it left had not been told.
      await bench.own.query(
        places[there] ?? 0,
        `UPDATE transfer SET is_open = 1 WHERE sku_id = '${lying}' AND transfer_id = UNHEX(REPEAT('a', 32))`,
      );
      // Its units are there once more, and somebody levels the rows before he notices.
      await send(transfer('c', here, there, 25));
      for (let shard = 0; shard < OWN; shard += 1)
        await bench.own.query(
          shard,
          `UPDATE transfer SET is_open = 0 WHERE sku_id = '${lying}' AND transfer_id = UNHEX(REPEAT('c', 32))`,
        );
      const orders = folder.write('levelled.csv', `order_id,sku_id,order_detail_id,quantity\n${sold.join('\n')}\n`);
      const { code, stdout } = await bench.command('--orders', orders, '--put-back', '--accept');
      expect(code, stdout).to.equal(0);
      expect(stdout, stdout)
        .to.match(/own-0 is sold from again$/m)
        .and.not.to.match(/not brought back/);
      await eventually('it sells again', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
      expect(left).to.equal(54);
      await eventually('nothing is on its way', WAIT_MS, async () => (await bench.leftOf(lying)) === 54);
      expect(await again()).to.deep.equal(sold.map(() => 200));
      expect(await bench.leftOf(lying)).to.equal(54);
      const audit = await runFile('scripts/reconcile.ts', [], bench.own.environment);
      expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
    } finally {
      for (const { pool } of shards) pool.close();
    }
  }).timeout(120_000);

  it('is told of to the end, though nobody reads it at once', async () => {
    const unknown = Array.from(
      { length: UNTOLD },
      (_, number) => `untold ${number},${skuOn(0, `untold ${number}`, OWN)},d,1`,
    );
    const orders = folder.write('untold.csv', `order_id,sku_id,order_detail_id,quantity\n${unknown.join('\n')}\n`);
    const { stdout, exited } = supervise({
      command: process.execPath,
      arguments: [await bundled('scripts/reconcile.ts'), '--restored', '--shard', 'own-0', '--orders', orders],
      environment: { ...process.env, ...bench.own.environment },
      stdout: 'pipe',
      stderr: 'ignore',
    });
    // A command that ends here has lost what its pipe did not hold, and what this process read ahead.
    expect(await Promise.race([exited.then(() => 'ended'), sleep(UNREAD_MS, 'waits')])).to.equal('waits');
    const printed = await text(stdout ?? expect.fail('no output'));
    expect((await exited).code).to.equal(1);
    expect(printed.match(/^flow: /gm)).to.have.length(unknown.length);
  }).timeout(60_000);

  it('does not take a hold for a sale', async () => {
    const [sku_id, elsewhere] = [skuOn(0, fresh('held'), OWN), skuOn(1, fresh('held elsewhere'), OWN)];
    for (const one of [sku_id, elsewhere]) await bench.gateway.openSku(one, 10);
    const settling = skuOn(0, 'settled on one of two shards', OWN);
    await deduct(settling, [sku_id, 1], [elsewhere, 1]);
    await eventually(
      'it is settled',
      WAIT_MS,
      async () =>
        (await bench.own.query(0, 'SELECT 1 FROM cart_hold')).length +
          (await bench.own.query(1, 'SELECT 1 FROM cart_hold')).length ===
        0,
    );
    const order_id = skuOn(2, fresh('sold at the second attempt'), OWN);
    await deduct(order_id, [sku_id, 4]);
    await bench.copies.copy(0, 'backup');
    // What is in the backup is the first attempt's, which was undone.
    await bench.own.query(
      0,
      `UPDATE ${bench.copies.schemaOf(0, 'backup')}.flow SET attempt = 1 WHERE order_id = '${order_id}'`,
    );
    await bench.copies.holdIn(0, 'backup', sku_id, order_id);
    await bench.own.query(
      2,
      `INSERT INTO cart (order_id, attempt, token, state, order_lines) VALUES ('${order_id}', 1, REPEAT('t', 16), 'aborted', '[]')`,
    );
    await restored();
    // What another shard holds is settled when the record can be read again.
    const held = `WHERE sku_id = '${elsewhere}' AND order_id = '${settling}'`;
    await bench.own.query(
      1,
      `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) SELECT sku_id, order_detail_id, order_id, attempt FROM flow ${held}`,
    );
    await bench.own.query(1, `UPDATE stock SET held_amount = 1 WHERE sku_id = '${elsewhere}'`);
    await bench.own.query(1, `UPDATE flow SET status = 'pending' ${held}`);
    const orders = folder.write('held.csv', `order_id,sku_id,order_detail_id,quantity\n${sold.join('\n')}\n`);
    const { code, stdout } = await bench.command('--orders', orders, '--put-back', '--accept');
    expect(code, stdout).to.equal(0);
    expect(stdout).to.match(/own-0 is sold from again$/m);
    await eventually('it sells again', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
    expect((await again()).slice(2)).to.deep.equal([200]);
    await eventually(
      'the other is settled',
      WAIT_MS,
      async () => (await bench.own.query(1, 'SELECT 1 FROM cart_hold')).length === 0,
    );
    expect([await bench.leftOf(sku_id), await bench.leftOf(elsewhere)]).to.deep.equal([5, 9]);
  }).timeout(60_000);

  it('keeps commands that write to it by themselves away', async () => {
    await bench.copies.copy(0, 'backup');
    await restored();
    const file = folder.write('stock.csv', `sku_id,leaved_amount\n${skuOn(0, fresh('new'), OWN)},5\n`);
    for (const [script, ...args] of [
      ['scripts/import-stock.ts', file],
      ['scripts/reconcile.ts', '--repair'],
    ] as const) {
      const { code, stderr } = await runFile(script, args, bench.own.environment);
      expect(code).to.equal(1);
      expect(stderr).to.match(/own-0 is not sold from, .*nothing was written/);
    }
    expect((await bench.command('--accept')).code).to.equal(0);
    await eventually('it sells again', WAIT_MS, async () => (await bench.shardStates())[0]?.state === 'serving');
  }).timeout(60_000);

  it('is told of in the log while nobody can note how far it has come, and soon moved on when that is over', async () => {
    const reached = async (): Promise<number> =>
      Number((await bench.own.query(0, 'SELECT reached FROM generation WHERE shard_index = 0'))[0]?.['reached']);
    await bench.own.query(
      0,
      "CREATE TRIGGER not_now BEFORE UPDATE ON generation FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'",
    );
    await eventually('it is told of', WAIT_MS, () =>
      Promise.resolve(
        lines.some(({ msg, shard }) => String(msg).startsWith('shard not moved on') && shard === 'own-0'),
      ),
    );
    expect((await bench.shardStates())[0]?.state).to.equal('serving');
    const stuck = await reached();
    await bench.own.query(0, 'DROP TRIGGER not_now');
    await eventually('it is moved on', WAIT_MS, async () => (await reached()) > stuck);
  }).timeout(60_000);

  it('pauses SKUs whose layouts and units do not fit together', async () => {
    const [since, pointed] = [skuOn(0, fresh('split since'), OWN), skuOn(1, fresh('of another shard'), OWN)];
    for (const sku_id of [since, pointed]) await bench.gateway.openSku(sku_id, 90);
    await bench.copies.copy(0, 'backup');
    for (const sku_id of [since, pointed]) await split(sku_id);
    await eventually(
      'units went to the others',
      WAIT_MS,
      async () =>
        (await bench.own.query(1, `SELECT 1 FROM transfer WHERE sku_id = '${since}' AND is_open = 0`)).length > 0,
    );
    await restored();
    const { code, stdout } = await bench.command();
    expect(code).to.equal(1);
    for (const sku_id of [since, pointed]) expect(stdout).to.match(new RegExp(`^layout: sku_id "${sku_id}"`, 'm'));
    expect(stdout).to.match(new RegExp(`^transfer: sku_id "${since}", .*quantity -\\d+`, 'm'));
    const tried = await bench.command('--put-back');
    expect(tried.code).to.equal(1);
    expect(tried.stdout).to.match(/not brought back \(it must be judged by people\): transfer/);
    const taken = await bench.command('--accept');
    expect(taken.code).to.equal(0);
    expect(taken.stdout).to.match(/^paused, because .*split since/m);
    for (const sku_id of [since, pointed]) {
      await eventually(
        'it is not sold',
        WAIT_MS,
        async () =>
          (await bench.gateway.deduct({ sku_id, order_detail_id: fresh('d'), quantity: 1 })).body?.code ===
          'not_on_sale',
      );
    }
  }).timeout(120_000);
});
