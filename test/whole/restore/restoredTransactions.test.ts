import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { RestoredBench, skuPath, WATERMARK_MS } from '../../support/systems/restoredBench.ts';
import { SoldOrders } from '../../support/systems/soldOrders.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const WAIT_MS = 30_000;
/** Longer than the sweeper of a gateway needs for several rounds, and than a transaction stays undecided. */
const SWEPT_MS = 7_000;
/** Shards 0 and 2 are on one server, and shard 1 is on another. */
const OWN = 3;

describe('restored shards and orders over several servers', () => {
  let bench: RestoredBench;
  let orders: SoldOrders;
  /** On shards 0, 1 and 2. */
  let skus: readonly [string, string, string] = ['', '', ''];

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN);
    orders = new SoldOrders(bench, OWN);
  });
  beforeEach(async () => {
    orders.clear();
    skus = [skuOn(0, fresh('first'), OWN), skuOn(1, fresh('second'), OWN), skuOn(2, fresh('third'), OWN)];
    for (const sku_id of skus) await bench.gateway.openSku(sku_id, 50);
  });
  afterEach(async () => {
    // A test that failed may leave its shards refused, and then no later test could begin.
    if ((await bench.statesOf()).includes('refused')) await bench.command('--accept');
    await allServed();
  });
  after(async () => {
    orders.remove();
    await bench.stop();
  });

  /** The id of an order whose slot is not on shard 0: its record is on its coordinator. */
  const order = (name: string): string => skuOn(1, fresh(name), OWN);
  const holds = async (shard: number): Promise<number> =>
    (await bench.own.query(shard, 'SELECT 1 FROM cart_hold')).length;
  const noHolds = (): Promise<void> =>
    eventually(
      'no shard has a hold',
      WAIT_MS,
      async () => (await holds(0)) + (await holds(1)) + (await holds(2)) === 0,
    );
  const left = async (): Promise<unknown[]> => Promise.all(skus.map((sku_id) => bench.leftOf(sku_id)));
  /** The state and the lines of each record of an order on a shard. */
  const recordsOf = async (shard: number, order_id: string): Promise<unknown[]> =>
    (
      await bench.own.query(
        shard,
        `SELECT state, CAST(order_lines AS CHAR) AS order_lines FROM order_record WHERE order_id = '${order_id}'`,
      )
    ).map(({ state, order_lines }) => [state, (JSON.parse(String(order_lines)) as unknown[]).sort()]);
  const transactionOf = async (shard: number, order_id: string): Promise<string> => {
    const sql = `SELECT LOWER(HEX(transaction_id)) AS id FROM order_record WHERE order_id = '${order_id}'`;
    return String((await bench.own.query(shard, sql))[0]?.['id']);
  };
  const allServed = (): Promise<void> =>
    eventually('all are served', WAIT_MS, async () => !(await bench.statesOf()).includes('refused'));
  const accept = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await bench.command(...args, '--accept');
    expect(code, stdout + stderr).to.equal(0);
    await allServed();
    return stdout;
  };

  it('get their records and their lines back, from flows and records on other shards and from the shop', async () => {
    const [here, there, beside] = skus;
    await orders.deduct('before', [here, 1], [there, 1]);
    await noHolds();
    await bench.copies.copy(0, 'backup');
    const [coordinated, near, taken] = [order('coordinated'), order('near'), order('taken')];
    await orders.deduct(coordinated, [here, 2], [there, 3], [beside, 4]);
    await orders.deduct(near, [here, 5], [beside, 6]);
    // Shard 1 has most lines, so it coordinates.
    await orders.deduct(taken, [here, 7], [there, 1], [there, 2]);
    await noHolds();
    const before = await left();
    const ids = [await transactionOf(0, coordinated), await transactionOf(0, near)];
    await orders.restored();

    const found = await bench.command();
    expect(found.code, found.stdout).to.equal(1);
    for (const [place, order_id] of [coordinated, near].entries())
      expect(found.stdout).to.match(new RegExp(`^cart: order_id "${order_id}", id "${ids[place]}" `, 'm'));
    expect(found.stdout)
      .to.match(new RegExp(`^flow: .*order_detail_id "${taken}-0", quantity 7 \\(a cart on own-1\\)$`, 'm'))
      .and.not.to.match(/"before/);

    // Without the shop, the lines on the restored shard itself are lost, and all others come back.
    const put = await bench.command('--put-back');
    expect(put.stdout).not.to.match(/not put back|outcome unknown/);
    expect(await recordsOf(0, near)).to.deep.equal([['committed', [[beside, `${near}-1`, 6, 2]]]]);
    expect(await recordsOf(0, coordinated)).to.deep.equal([
      [
        'committed',
        [
          [there, `${coordinated}-1`, 3, 1],
          [beside, `${coordinated}-2`, 4, 2],
        ],
      ],
    ]);
    const [line] = await bench.own.query(
      0,
      `SELECT LOWER(HEX(transaction_id)) AS id, coordinator FROM flow WHERE order_id = '${taken}'`,
    );
    expect(line).to.deep.equal({ id: await transactionOf(1, taken), coordinator: 1 });
    await orders.putBack('all');
    await orders.expectReplays();
    expect(await left()).to.deep.equal(before);
    await orders.expectReconciled();
  }).timeout(120_000);

  it('complete holds of the backup by the records on other shards, and undo those without a record', async () => {
    const [here, there] = skus;
    const [sold, undone] = [order('sold'), order('undone')];
    await orders.deduct(sold, [here, 3], [there, 1], [there, 1]);
    await bench.deduct(undone, [here, 5], [there, 1], [there, 1]);
    await noHolds();
    await bench.copies.copy(0, 'backup');
    // The backup was made between the phases.
    for (const order_id of [sold, undone]) await bench.copies.holdIn(0, 'backup', here, order_id);
    // One of the transactions was aborted since.
    await bench.own.query(1, `DELETE FROM order_record WHERE order_id = '${undone}'`);
    await bench.own.query(1, `DELETE FROM flow WHERE order_id = '${undone}'`);
    await bench.own.query(1, `UPDATE stock SET leaved_amount = leaved_amount + 2 WHERE sku_id = '${there}'`);
    await bench.own.query(0, `DELETE FROM flow WHERE order_id = '${undone}'`);
    await bench.own.query(0, `UPDATE stock SET leaved_amount = leaved_amount + 5 WHERE sku_id = '${here}'`);
    await orders.restored();
    expect((await bench.command()).stdout).not.to.match(/^(cart|flow): /m);
    await accept();
    await noHolds();
    expect((await left()).slice(0, 2)).to.deep.equal([47, 48]);
    await orders.expectReplays();
    await orders.expectReconciled();
    expect(await bench.own.query(0, `SELECT 1 FROM flow WHERE order_id = '${undone}'`)).to.deep.equal([]);
  }).timeout(120_000);

  it('are not asked while they are refused, and decide holds of other shards by what was put back', async () => {
    const [here, there] = skus;
    await bench.copies.copy(0, 'backup');
    const [named, unnamed] = [order('named'), order('unnamed')];
    await orders.deduct(named, [here, 2], [there, 3]);
    // The shop does not know of the second order.
    await bench.deduct(unnamed, [here, 4], [there, 5]);
    await noHolds();
    const id = await transactionOf(0, named);
    await orders.restored();
    // The shard was lost after the decision, and before the holds were completed.
    for (const order_id of [named, unnamed]) await bench.copies.holdIn(1, undefined, there, order_id);
    const journal = await bench.gateway.get(skuPath(there, '/flows'));
    expect(journal.status, journal.text).to.equal(503);
    await sleep(SWEPT_MS);
    expect([await holds(1), await recordsOf(0, named), await recordsOf(0, unnamed)]).to.deep.equal([2, [], []]);

    const found = await bench.command('--orders', orders.write('held'));
    expect(found.stdout)
      .to.match(new RegExp(`^cart: order_id "${named}", id "${id}" \\(line 3 of the orders\\)$`, 'm'))
      .and.match(new RegExp(`^flow: .*"${named}-0"`, 'm'))
      .and.not.to.match(new RegExp(`"${named}-1"|${unnamed}`));
    await orders.putBack('held');
    await noHolds();
    expect((await left()).slice(0, 2)).to.deep.equal([48, 47]);
    await orders.expectReplays();
    await orders.expectReconciled();
    expect(await recordsOf(0, named)).to.deep.equal([['committed', [[there, `${named}-1`, 3, 1]]]]);
  }).timeout(120_000);

  it('get the record of a sold order back, although a gateway had recorded the transaction as aborted', async () => {
    const [here, there] = skus;
    await bench.copies.copy(0, 'backup');
    const order_id = order('overruled');
    await orders.deduct(order_id, [here, 2], [there, 3]);
    await noHolds();
    const id = `X'${await transactionOf(0, order_id)}'`;
    const backup = bench.copies.schemaOf(0, 'backup');
    // As if a gateway had not noticed the restore, and had asked for the record.
    await bench.own.query(
      0,
      `INSERT INTO ${backup}.order_record (transaction_id, state, order_id, order_lines)
       VALUES (${id}, 'aborted', '${order_id}', '[]')`,
    );
    await bench.own.query(0, `INSERT INTO ${backup}.aborted_record (transaction_id) VALUES (${id})`);
    await orders.restored();
    await orders.putBack('overruled');
    expect(await recordsOf(0, order_id)).to.deep.equal([['committed', [[there, `${order_id}-1`, 3, 1]]]]);
    expect(await bench.own.query(0, `SELECT 1 FROM aborted_record WHERE transaction_id = ${id}`)).to.deep.equal([]);
    await orders.expectReplays();
    await orders.expectReconciled();
  }).timeout(120_000);

  it('sell holds of a second restored shard when a third one shows that their order was sold', async () => {
    const [here, there, beside] = skus;
    for (const shard of [0, 1]) await bench.copies.copy(shard, 'backup');
    const order_id = order('of both');
    await orders.deduct(order_id, [here, 1], [here, 2], [there, 3], [beside, 4]);
    await noHolds();
    // The backup of the second shard was made between the phases.
    await bench.copies.copy(1, 'backup');
    await bench.copies.holdIn(1, 'backup', there, order_id);
    await sleep(WATERMARK_MS);
    for (const shard of [1, 0]) await bench.copies.restore(shard, 'backup');
    await eventually('both are refused', WAIT_MS, async () => (await bench.statesOf()) === 'refused,refused,serving');
    const file = orders.write('both');
    const printed = await accept('--orders', file, '--put-back');
    expect(printed).not.to.match(/not put back|outcome unknown/);
    await noHolds();
    await eventually('the accepted shards are read again', WAIT_MS, async () => !(await left()).includes(undefined));
    expect(await left()).to.deep.equal([47, 47, 46]);
    await orders.expectReplays();
    await orders.expectReconciled();
  }).timeout(120_000);
});
