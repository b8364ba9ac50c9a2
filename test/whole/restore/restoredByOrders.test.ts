import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { subRowOf } from '../../../src/core/hot/layout.ts';
import { supervise } from '../../../scripts/cluster/supervise.ts';
import { bundled } from '../../../scripts/support/bundle.ts';
import { captureLog } from '../../support/gateway/capturedLog.ts';
import { runFile } from '../../support/run/command.ts';
import type { Finished } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { RestoredBench } from '../../support/systems/restoredBench.ts';
import { SoldOrders } from '../../support/systems/soldOrders.ts';
import { SubRowTransfers } from '../../support/hot/subRowTransfers.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const WAIT_MS = 30_000;
/** Longer than the command needs to compare the shards. */
const UNREAD_MS = 5_000;
/** More lines, of about 100 bytes, than the pipe and the buffers at its ends can hold. */
const LINES = 8_000;

describe('a restored shard, repaired from the other shards and the orders of the shop', () => {
  const OWN = 3;
  let bench: RestoredBench;
  let orders: SoldOrders;
  const { log, lines } = captureLog('warn');
  const ofShard = (...args: readonly string[]): Promise<Finished> => bench.command('--shard', 'own-0', ...args);
  const holdsOn = async (shard: number): Promise<number> =>
    (await bench.own.query(shard, 'SELECT 1 FROM cart_hold')).length;

  before(async function () {
    this.timeout(120_000);
    // Its orders over several shards are carts with attempts.
    bench = await RestoredBench.start(OWN, log, { STOCKGATE_ENGINE: 'textbook' });
    orders = new SoldOrders(bench, OWN);
  });
  beforeEach(() => orders.clear());
  after(async () => {
    orders.remove();
    await bench.stop();
  });

  it('sells again what it sold, also from the rows of split SKUs and despite holds in the backup', async () => {
    const [plain, split, other] = [
      skuOn(0, fresh('plain'), OWN),
      skuOn(0, fresh('lying on all'), OWN),
      skuOn(1, fresh('elsewhere'), OWN),
    ];
    for (const sku_id of [plain, other]) await bench.gateway.openSku(sku_id, 20);
    await bench.gateway.openSku(split, 90);
    await orders.split(split);
    const [open, completed] = [skuOn(0, 'open in the backup', OWN), skuOn(2, 'record elsewhere', OWN)];
    for (const order_id of [open, completed]) await orders.deduct(order_id, [plain, 3], [other, 1]);
    await orders.completed();
    await bench.copies.copy(0, 'backup');
    const backup = bench.copies.schemaOf(0, 'backup');
    for (const order_id of [open, completed]) await bench.copies.holdIn(0, 'backup', plain, order_id);
    await bench.own.query(0, `UPDATE ${backup}.cart SET state = 'open', decided_at = NULL`);
    // One hold of the backup was undone since: its units and its line were sold by other orders.
    await bench.own.query(
      0,
      `INSERT INTO ${backup}.flow (sku_id, order_detail_id, order_id, quantity, attempt)
       VALUES ('${plain}', 'takes all-0', 'undone', 6, 1)`,
    );
    await bench.own.query(0, `UPDATE ${backup}.stock SET leaved_amount = leaved_amount - 6 WHERE sku_id = '${plain}'`);
    await bench.copies.holdIn(0, 'backup', plain, 'undone');

    await orders.deduct('takes all', [plain, 14]);
    for (let order = 0; order < 9; order += 1) await orders.deduct(`of a split SKU ${order}`, [split, 9]);
    await orders.restored();
    expect(await orders.putBack('orders')).not.to.match(/not put back/);
    expect([await bench.leftOf(plain), await bench.leftOf(split)]).to.deep.equal([0, 9]);
    await orders.expectReplays();
    expect([await bench.leftOf(plain), await bench.leftOf(split)]).to.deep.equal([0, 9]);
    await orders.expectReconciled();
  }).timeout(120_000);

  it('is compared over its whole past when no gateway noticed the restore, or from --since on', async () => {
    const [split, cart, other] = [
      skuOn(0, fresh('on all'), OWN),
      skuOn(1, fresh('of a cart'), OWN),
      skuOn(2, fresh('more of it'), OWN),
    ];
    await bench.gateway.openSku(split, 90);
    for (const sku_id of [cart, other]) await bench.gateway.openSku(sku_id, 20);
    await orders.split(split);
    await sleep(1_100);
    await bench.copies.copy(0, 'backup');
    // With these ids a row sells more than it has, so units move after the backup.
    for (let order = 0; order < 8; order += 1) await orders.deduct(`unseen ${order}`, [split, 9]);
    await orders.deduct(skuOn(0, 'unseen cart', OWN), [cart, 2], [other, 1]);
    await orders.completed();
    // As if all of it had happened long ago, and without a trace in the restored shard.
    for (let shard = 0; shard < OWN; shard += 1)
      for (const table of ['transfer', 'flow'])
        await bench.own.query(
          shard,
          `UPDATE ${table} SET created_at = created_at - INTERVAL 3 HOUR
           WHERE sku_id IN ('${split}', '${cart}', '${other}')`,
        );
    await bench.own.query(1, `UPDATE hot_sku SET changed_at = changed_at - INTERVAL 6 HOUR`);
    await bench.copies.restore(0, 'backup', ['generation']);
    // It serves on, because no gateway noticed the restore.
    await orders.becomes('serving');
    const file = orders.write('unnoticed');
    expect((await ofShard('--close')).code).to.equal(0);
    await orders.becomes('refused');
    // It was accepted too early, and is closed again.
    expect((await ofShard('--accept')).code).to.equal(0);
    await orders.becomes('serving');
    for (const shard of [0, 1, 2]) await bench.own.query(shard, "UPDATE stock SET sale_state = 'on'");
    expect((await ofShard('--close')).code).to.equal(0);
    await orders.becomes('refused');
    const compared = await bench.command();
    expect(compared.stdout)
      .to.match(/the time of its backup is unknown; state it with --since/)
      .and.to.match(/^transfer: /m)
      .and.to.match(/^cart: order_id "unseen cart/m);
    const since = new Date(Date.now() - 4 * 60 * 60 * 1_000).toISOString();
    await bench.own.query(0, `UPDATE hot_sku SET changed_at = changed_at - INTERVAL 6 HOUR`);
    const more = ['--since', since, '--put-back', '--accept'];
    const { code, stdout, stderr } = await ofShard('--orders', file, ...more);
    expect(code, stdout + stderr).to.equal(0);
    await orders.becomes('serving');
    expect(await bench.leftOf(split)).to.equal(18);
    await orders.expectReplays();
    expect(await bench.leftOf(split)).to.equal(18);
    await orders.expectReconciled();
    expect((await bench.command('--since', 'yesterday')).code).to.equal(1);
  }).timeout(120_000);

  it('fetches units that a row lacks by now, because they went to other rows before the restore was seen', async () => {
    const split = skuOn(0, fresh('levelled'), OWN);
    await bench.gateway.openSku(split, 90);
    await orders.split(split);
    const transfers = await SubRowTransfers.of(bench.own, split);
    const here = transfers.rowOn(0);
    const there = (here + 1) % OWN;
    try {
      await bench.copies.copy(0, 'backup');
      await transfers.send('a', there, here, 12);
      const own = Array.from({ length: 200 }, (_, number) => `levelled ${number}`).filter(
        (order_id) => subRowOf(`${order_id}-0`, OWN) === here,
      );
      for (const order_id of own.slice(0, 4)) await orders.deduct(order_id, [split, 9]);
      await transfers.send('b', here, there, 4);
      await transfers.mark(here, false);
      const left = await bench.leftOf(split);
      await orders.restored();
      // The units were received, and the row that sent them had not recorded that.
      await transfers.mark(there, true, 'a');
      // The restored row has the units again, and a rebalance moves them before the restore is noticed.
      await transfers.send('c', here, there, 25);
      for (const sub_row of [0, 1, 2]) await transfers.mark(sub_row, false, 'c');
      expect(await orders.putBack('levelled')).not.to.match(/not put back/);
      expect(left).to.equal(54);
      await eventually('no units are in transit', WAIT_MS, async () => (await bench.leftOf(split)) === 54);
      await orders.expectReplays();
      expect(await bench.leftOf(split)).to.equal(54);
      await orders.expectReconciled();
    } finally {
      transfers.close();
    }
  }).timeout(120_000);

  it('is reported to the end, though nothing reads the report at first', async () => {
    const missing = Array.from(
      { length: LINES },
      (_, number) => `missing ${number},${skuOn(0, `missing ${number}`, OWN)},d,1`,
    );
    const file = orders.write('missing', missing);
    const { stdout, exited } = supervise({
      command: process.execPath,
      arguments: [await bundled('src/commands/reconcile.ts'), '--restored', '--shard', 'own-0', '--orders', file],
      environment: { ...process.env, ...bench.own.environment },
      stdout: 'pipe',
      stderr: 'ignore',
    });
    // A command that ends here has lost the lines that its pipe and the read-ahead of this process did not hold.
    expect(await Promise.race([exited.then(() => 'ended'), sleep(UNREAD_MS, 'waits')])).to.equal('waits');
    const printed = await text(stdout ?? expect.fail('no output'));
    expect((await exited).code).to.equal(1);
    expect(printed.match(/^flow: /gm)).to.have.length(missing.length);
  }).timeout(60_000);

  it('does not take a hold for a sale', async () => {
    const [sku_id, other] = [skuOn(0, fresh('held'), OWN), skuOn(1, fresh('held elsewhere'), OWN)];
    for (const one of [sku_id, other]) await bench.gateway.openSku(one, 10);
    const halfCompleted = skuOn(0, 'completed on one of two shards', OWN);
    await orders.deduct(halfCompleted, [sku_id, 1], [other, 1]);
    await eventually('no shard has a hold', WAIT_MS, async () => (await holdsOn(0)) + (await holdsOn(1)) === 0);
    const order_id = skuOn(2, fresh('sold at the second attempt'), OWN);
    await orders.deduct(order_id, [sku_id, 4]);
    await bench.copies.copy(0, 'backup');
    // The backup has the hold of the first attempt, which was undone.
    await bench.own.query(
      0,
      `UPDATE ${bench.copies.schemaOf(0, 'backup')}.flow SET attempt = 1 WHERE order_id = '${order_id}'`,
    );
    await bench.copies.holdIn(0, 'backup', sku_id, order_id);
    await bench.own.query(
      2,
      `INSERT INTO cart (order_id, attempt, token, state, order_lines)
       VALUES ('${order_id}', 1, REPEAT('t', 16), 'aborted', '[]')`,
    );
    await orders.restored();
    // The hold of another shard is completed once the cart record can be read again.
    const held = `WHERE sku_id = '${other}' AND order_id = '${halfCompleted}'`;
    await bench.own.query(
      1,
      `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt)
       SELECT sku_id, order_detail_id, order_id, attempt FROM flow ${held}`,
    );
    await bench.own.query(1, `UPDATE stock SET held_amount = 1 WHERE sku_id = '${other}'`);
    await bench.own.query(1, `UPDATE flow SET status = 'pending' ${held}`);
    await orders.putBack('held');
    expect((await orders.sendAgain()).slice(2)).to.deep.equal([200]);
    await eventually('the hold of the other shard is completed', WAIT_MS, async () => (await holdsOn(1)) === 0);
    expect([await bench.leftOf(sku_id), await bench.leftOf(other)]).to.deep.equal([5, 9]);
  }).timeout(60_000);

  it('is not written by other commands', async () => {
    await bench.copies.copy(0, 'backup');
    await orders.restored();
    const file = orders.writeFile('stock.csv', `sku_id,leaved_amount\n${skuOn(0, fresh('new'), OWN)},5\n`);
    for (const [script, ...args] of [
      ['src/commands/import-stock.ts', file],
      ['src/commands/reconcile.ts', '--repair'],
    ] as const) {
      const { code, stderr } = await runFile(script, args, bench.own.environment);
      expect(code).to.equal(1);
      expect(stderr).to.match(/own-0 is refused, .*nothing was written/);
    }
    expect((await bench.command('--accept')).code).to.equal(0);
    await orders.becomes('serving');
  }).timeout(60_000);

  it('is logged while its watermark cannot be written, and its watermark rises soon after that', async () => {
    const reached = async (): Promise<number> =>
      Number((await bench.own.query(0, 'SELECT reached FROM generation WHERE shard_index = 0'))[0]?.['reached']);
    await bench.own.query(
      0,
      `CREATE TRIGGER not_now BEFORE UPDATE ON generation FOR EACH ROW
       SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'`,
    );
    await eventually('it is logged', WAIT_MS, () =>
      Promise.resolve(
        lines.some(({ msg, shard }) => String(msg).startsWith('watermark not raised') && shard === 'own-0'),
      ),
    );
    expect((await bench.shardStates())[0]?.state).to.equal('serving');
    const stuck = await reached();
    await bench.own.query(0, 'DROP TRIGGER not_now');
    await eventually('its watermark rises', WAIT_MS, async () => (await reached()) > stuck);
  }).timeout(60_000);

  it('pauses SKUs whose layouts and units do not fit together', async () => {
    const [since, pointed] = [skuOn(0, fresh('split since'), OWN), skuOn(1, fresh('of another shard'), OWN)];
    for (const sku_id of [since, pointed]) await bench.gateway.openSku(sku_id, 90);
    await bench.copies.copy(0, 'backup');
    for (const sku_id of [since, pointed]) await orders.split(sku_id);
    await eventually(
      'units were sent to other rows',
      WAIT_MS,
      async () =>
        (await bench.own.query(1, `SELECT 1 FROM transfer WHERE sku_id = '${since}' AND is_open = 0`)).length > 0,
    );
    await orders.restored();
    const { code, stdout } = await bench.command();
    expect(code).to.equal(1);
    for (const sku_id of [since, pointed]) expect(stdout).to.match(new RegExp(`^layout: sku_id "${sku_id}"`, 'm'));
    expect(stdout).to.match(new RegExp(`^transfer: sku_id "${since}", .*quantity -\\d+`, 'm'));
    const tried = await bench.command('--put-back');
    expect(tried.code).to.equal(1);
    expect(tried.stdout).to.match(/not put back \(it needs an operator's decision\): transfer/);
    const taken = await bench.command('--accept');
    expect(taken.code).to.equal(0);
    expect(taken.stdout).to.match(/^paused, because .*split since/m);
    for (const sku_id of [since, pointed]) {
      await eventually(
        'the SKU is not sold',
        WAIT_MS,
        async () =>
          (await bench.gateway.deduct({ sku_id, order_detail_id: fresh('d'), quantity: 1 })).body?.code ===
          'not_on_sale',
      );
    }
  }).timeout(120_000);
});
