import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { runFile } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { fresh } from '../support/gateway.ts';
import { MOVED_ON_MS, RestoredBench, skuPath } from '../support/restoredBench.ts';
import { skuOn } from '../support/traffic.ts';

const WAIT_MS = 30_000;

describe('restored shards, and what is left of the state before', () => {
  const OWN = 4;
  const RESTORED = [0, 1];
  let bench: RestoredBench;

  const send = async (path: string, body: unknown): Promise<void> => {
    await eventually(`${path} is done`, WAIT_MS, async () => (await bench.gateway.post(path, body)).status < 300);
  };
  const adjust = async (sku_id: string, adjustment_id: string, delta: number): Promise<void> => {
    expect(
      (await bench.gateway.adminPost(skuPath(sku_id, '/adjustments'), { adjustment_id, delta, reason: 'counted' }))
        .status,
    ).to.equal(201);
  };
  const sale = async (sku_id: string, state: 'on' | 'paused', from: string | null = null): Promise<void> => {
    expect(
      (await bench.gateway.adminPut(skuPath(sku_id, '/sale'), { state, ...(from === null ? {} : { from }) })).status,
    ).to.equal(200);
  };
  const split = async (sku_id: string, sub_rows: number): Promise<void> => {
    await eventually(
      `${sku_id} is split`,
      WAIT_MS,
      async () => (await bench.gateway.adminPut(skuPath(sku_id, '/hot'), { sub_rows })).status === 200,
    );
  };
  const isQuiet = async (): Promise<boolean> => {
    for (let shard = 0; shard < OWN; shard += 1) {
      const [left] = await bench.own.query(
        shard,
        "SELECT (SELECT COUNT(*) FROM cart_hold) + (SELECT COUNT(*) FROM transfer WHERE is_open = 1) + (SELECT COUNT(*) FROM hot_sku WHERE state NOT IN ('open', 'single') OR earlier <> '[]') AS count",
      );
      if (Number(left?.['count']) > 0) return false;
    }
    return true;
  };
  /** Makes the state before end so much later than the backup. */
  const endBefore = async (micros: number): Promise<void> => {
    for (const shard of RESTORED) {
      const [row] = await bench.own.query(
        shard,
        `SELECT reached FROM ${bench.copies.schemaOf(shard, 'backup')}.generation WHERE shard_index = ${shard}`,
      );
      await bench.own.query(
        shard,
        `UPDATE ${bench.copies.schemaOf(shard, 'before')}.generation SET reached = ${Number(row?.['reached']) + micros} WHERE shard_index = ${shard}`,
      );
    }
  };
  const books = async (name?: string): Promise<string[]> =>
    (await Promise.all(RESTORED.map((shard) => bench.copies.booksOf(shard, name)))).flat();
  /** Rows that are in one of two states alone. */
  const unlike = async (before: readonly string[]): Promise<string[]> => {
    const now = await books();
    return [
      ...now.filter((row) => !before.includes(row)).map((row) => `now: ${row}`),
      ...before.filter((row) => !now.includes(row)).map((row) => `before: ${row}`),
    ];
  };

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN);
  });
  after(() => bench.stop());

  it('are the same again to the last row, when that is copied', async () => {
    const sku = (shard: number, name: string): string => skuOn(shard, fresh(name), OWN);
    const [old, emptied, elsewhere, other, resumed, tomorrow] = [
      sku(0, 'old'),
      sku(0, 'emptied'),
      sku(2, 'elsewhere'),
      sku(1, 'other'),
      sku(0, 'resumed'),
      sku(0, 'tomorrow'),
    ];
    const [splitBefore, splitSince, merged] = [sku(0, 'split before'), sku(0, 'split since'), sku(2, 'merged')];
    const late = sku(0, 'late');
    for (const sku_id of [old, emptied, elsewhere, other, resumed, tomorrow, splitBefore, splitSince, merged])
      await bench.gateway.openSku(sku_id, 60);
    await sale(resumed, 'paused');
    await bench.deduct('early', [old, 5]);
    await bench.deduct('gone', [old, 2]);
    for (let order = 0; order < 12; order += 1) await bench.deduct(`of the one row ${order}`, [splitSince, 1]);
    await split(splitBefore, 4);
    await split(merged, 4);
    // What was under way when the backup was made, and how it ended: sold, its record on the same shard, on the other restored one, on one that was not; undone.
    const underWay = [
      skuOn(0, 'record here', OWN),
      skuOn(1, 'record on the other', OWN),
      skuOn(2, 'record elsewhere', OWN),
    ];
    for (const order_id of underWay) await bench.deduct(order_id, [old, 3], [elsewhere, 1]);
    const undone = skuOn(2, 'undone', OWN);
    await bench.deduct(undone, [old, 4]);
    await bench.own.query(0, `UPDATE flow SET attempt = 1 WHERE order_id = '${undone}'`);
    await eventually('all is quiet', WAIT_MS, isQuiet);
    for (const shard of RESTORED) await bench.copies.copy(shard, 'backup');
    for (const order_id of [...underWay, undone]) await bench.copies.holdIn(0, 'backup', old, order_id);
    for (const shard of RESTORED)
      await bench.own.query(
        shard,
        `UPDATE ${bench.copies.schemaOf(shard, 'backup')}.cart SET state = 'open', decided_at = NULL`,
      );
    await bench.own.query(0, `UPDATE flow SET status = 'void' WHERE order_id = '${undone}'`);
    await bench.own.query(0, `UPDATE stock SET leaved_amount = leaved_amount + 4 WHERE sku_id = '${old}'`);

    await bench.gateway.openSku(late, 30);
    await bench.deduct('new', [late, 4]);
    for (const [shard, name] of ['cart at home', 'cart on the other', 'cart elsewhere'].entries())
      await bench.deduct(skuOn(shard, name, OWN), [old, 1 + shard], [elsewhere, 1], [other, 2]);
    await bench.deduct('empties', [emptied, 60]);
    await adjust(emptied, 'in', 20);
    await bench.deduct('of the restock', [emptied, 15]);
    await adjust(emptied, 'out', -5);
    await send('/v1/returns', { return_id: 'r1', sku_id: old, order_detail_id: 'early-0', quantity: 2 });
    await send('/v1/returns', { return_id: 'r2', sku_id: late, order_detail_id: 'new-0', quantity: 1 });
    await send('/v1/cancellations', { order_id: 'gone', lines: [{ sku_id: old, order_detail_id: 'gone-0' }] });
    await send('/v1/cancellations', { order_id: 'never', lines: [{ sku_id: old, order_detail_id: 'never-0' }] });
    await bench.deduct('sold and cancelled', [late, 6]);
    await send('/v1/returns', {
      return_id: 'of it',
      sku_id: late,
      order_detail_id: 'sold and cancelled-0',
      quantity: 1,
    });
    await send('/v1/cancellations', {
      order_id: 'sold and cancelled',
      lines: [{ sku_id: late, order_detail_id: 'sold and cancelled-0' }],
    });
    // Units that came back and were sold again, more than once; by their ids in another order.
    const around = sku(0, 'around');
    await bench.gateway.openSku(around, 10);
    await bench.deduct('z first', [around, 10]);
    await send('/v1/returns', { return_id: 'broken', sku_id: around, order_detail_id: 'z first-0', quantity: 2 });
    await adjust(around, 'broken', -2);
    await send('/v1/returns', { return_id: 'back', sku_id: around, order_detail_id: 'z first-0', quantity: 5 });
    await bench.deduct('m second', [around, 5]);
    await send('/v1/returns', { return_id: 'back too', sku_id: around, order_detail_id: 'm second-0', quantity: 5 });
    await bench.deduct('a third', [around, 5]);
    // Sold between two pauses.
    await sale(resumed, 'on');
    await bench.deduct('while it was on', [resumed, 3]);
    await sale(resumed, 'paused');
    await sale(tomorrow, 'on', '2099-01-01T00:00:00.000Z');
    // More than one row has; units are fetched, and left over where they were fetched to.
    for (const order of [0, 1, 2]) await bench.deduct(`of four rows ${order}`, [splitBefore, 16]);
    await split(splitSince, 4);
    for (const order of [0, 1, 2]) await bench.deduct(`of new rows ${order}`, [splitSince, 3]);
    await eventually(
      'it is merged',
      WAIT_MS,
      async () =>
        (
          await bench.gateway.client.call({
            method: 'DELETE',
            url: `${bench.gateway.adminUrl}${skuPath(merged, '/hot')}`,
          })
        ).status === 200,
    );
    await eventually('all is quiet', WAIT_MS, isQuiet);
    for (const shard of RESTORED) await bench.copies.copy(shard, 'before');
    const before = await books('before');
    await sleep(MOVED_ON_MS);
    // The copy ended a moment ago; what is left of a crash has come as far as anybody has seen.
    await endBefore(600_000_000);
    for (const shard of RESTORED) await bench.copies.restore(shard, 'backup');
    await eventually(
      'they are refused',
      WAIT_MS,
      async () => (await bench.statesOf()) === 'refused,refused,serving,serving',
    );
    expect(await unlike(before)).not.to.deep.equal([]);

    const told = await bench.command('--against', await bench.against(RESTORED));
    expect(told.code, told.stderr).to.equal(1);
    for (const kind of [
      'sku',
      'sale',
      'flow',
      'flow_state',
      'pointer',
      'return',
      'adjustment',
      'cart',
      'transfer',
      'layout',
    ])
      expect(told.stdout, told.stderr).to.match(new RegExp(`^${kind}: `, 'm'));
    // Nothing is let go without a word, or by a state that is not known to be all of it.
    expect(told.stderr).to.match(/own-0 is not sold from/);
    expect(await bench.statesOf()).to.equal('refused,refused,serving,serving');
    await endBefore(-1);
    const older = await bench.command('--against', await bench.against(RESTORED), '--put-back');
    expect(older.code, older.stdout).to.equal(1);
    expect(older.stderr).to.match(/ends at .*, and it must reach/);
    await endBefore(1);
    const lagging = await bench.command('--against', await bench.against(RESTORED), '--put-back');
    expect(lagging.code, lagging.stdout).to.equal(1);
    expect(lagging.stdout).to.match(/goes no further than/);
    expect(await unlike(before)).to.deep.equal([]);
    await endBefore(600_000_000);
    const done = await bench.command('--against', await bench.against(RESTORED), '--put-back');
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    await eventually(
      'they sell again',
      WAIT_MS,
      async () => (await bench.statesOf()) === 'serving,serving,serving,serving',
    );
    await bench.deduct('of four rows 1', [splitBefore, 16]);
    await bench.deduct('after all that', [splitSince, 5]);
    const audit = await runFile('scripts/reconcile.ts', [], bench.own.environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
  }).timeout(120_000);
});
