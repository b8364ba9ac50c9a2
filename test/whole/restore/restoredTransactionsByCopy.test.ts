import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { RestoredBench, WATERMARK_MS } from '../../support/systems/restoredBench.ts';
import { SoldOrders } from '../../support/systems/soldOrders.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const WAIT_MS = 30_000;
/** Shards 0 and 2 are on one server, and shard 1 is on another. */
const OWN = 3;
/** Later than every watermark, in microseconds after that of the backup. */
const LATER = 600_000_000;

describe('a restored shard with orders over several servers, and a reference copy', () => {
  let bench: RestoredBench;
  let orders: SoldOrders;
  let skus: readonly [string, string, string] = ['', '', ''];

  before(async function () {
    this.timeout(120_000);
    bench = await RestoredBench.start(OWN);
    orders = new SoldOrders(bench, OWN);
    skus = [skuOn(0, fresh('first'), OWN), skuOn(1, fresh('second'), OWN), skuOn(2, fresh('third'), OWN)];
    for (const sku_id of skus) await bench.gateway.openSku(sku_id, 60);
  });
  after(async () => {
    orders.remove();
    await bench.stop();
  });

  const noHolds = (): Promise<void> =>
    eventually('no shard has a hold', WAIT_MS, async () => {
      for (let shard = 0; shard < OWN; shard += 1)
        if ((await bench.own.query(shard, 'SELECT 1 FROM cart_hold')).length > 0) return false;
      return true;
    });
  const transactionOf = async (order_id: string): Promise<string> => {
    const sql = `SELECT LOWER(HEX(transaction_id)) AS id FROM order_record WHERE order_id = '${order_id}'`;
    return String((await bench.own.query(0, sql))[0]?.['id']);
  };
  /** Sets the watermark of the reference copy, in microseconds after that of the backup. */
  const endReference = async (micros: number): Promise<void> => {
    const [row] = await bench.own.query(
      0,
      `SELECT reached FROM ${bench.copies.schemaOf(0, 'backup')}.generation WHERE shard_index = 0`,
    );
    await bench.own.query(
      0,
      `UPDATE ${bench.copies.schemaOf(0, 'before')}.generation
          SET reached = ${Number(row?.['reached']) + micros} WHERE shard_index = 0`,
    );
  };
  /** The rows of shard 0, or of a copy of it, without aborted records. */
  const books = async (name?: string): Promise<string[]> =>
    (await bench.copies.booksOf(0, name)).filter(
      (row) => !(row.includes('"order_record"') && row.includes('"aborted"')),
    );
  const abortedIn = async (name: string, digit: string): Promise<void> => {
    const id = `X'${digit.repeat(32)}'`;
    const schema = bench.copies.schemaOf(0, name);
    await bench.own.query(
      0,
      `INSERT INTO ${schema}.order_record (transaction_id, state, order_id, order_lines)
       VALUES (${id}, 'aborted', 'refused', '[]')`,
    );
    await bench.own.query(0, `INSERT INTO ${schema}.aborted_record (transaction_id) VALUES (${id})`);
  };
  /** Undoes a sale of so many units, as if it had been a hold. */
  const undo = async (shard: number, order_id: string, units: number): Promise<void> => {
    await bench.own.query(shard, `DELETE FROM flow WHERE order_id = '${order_id}'`);
    await bench.own.query(shard, `DELETE FROM order_record WHERE order_id = '${order_id}'`);
    await bench.own.query(
      shard,
      `UPDATE stock SET leaved_amount = leaved_amount + ${units} WHERE sku_id = '${skus[shard]}'`,
    );
  };

  /** Sells, and makes a backup with holds, a void flow and an aborted record, all of which ended since. */
  const tradeUntilBackup = async (): Promise<void> => {
    const [here, there] = skus;
    await orders.deduct('early', [here, 1], [there, 1]);
    // Shard 1 has most lines, so it coordinates.
    await orders.deduct('held', [here, 2], [there, 1], [there, 1]);
    await bench.deduct('undone', [here, 3], [there, 1], [there, 1]);
    await noHolds();
    await bench.copies.copy(0, 'backup');
    for (const order_id of ['held', 'undone']) await bench.copies.holdIn(0, 'backup', here, order_id);
    await bench.own.query(
      0,
      `INSERT INTO ${bench.copies.schemaOf(0, 'backup')}.flow
         (sku_id, order_detail_id, order_id, quantity, attempt, status)
       VALUES ('${here}', 'late-0', 'of a cart', 4, 1, 'void'), ('${here}', 'void', 'of a cart', 4, 1, 'void')`,
    );
    await abortedIn('backup', 'a');
    await undo(0, 'undone', 3);
    await undo(1, 'undone', 2);
  };

  /** Sells with each shard as the coordinator, and makes a reference copy with a hold and an aborted record. */
  const tradeUntilReference = async (): Promise<void> => {
    const [here, there, beside] = skus;
    await orders.deduct('late', [here, 4], [there, 1]);
    await orders.deduct('near', [here, 5], [beside, 1]);
    await orders.deduct('taken', [here, 6], [there, 1], [there, 1]);
    await orders.deduct('ending', [here, 7], [there, 1], [there, 1]);
    await noHolds();
    await bench.copies.copy(0, 'before');
    await bench.copies.holdIn(0, 'before', here, 'ending');
    await abortedIn('before', 'b');
  };

  it('is the same again, without the holds that ended and without aborted records', async () => {
    await tradeUntilBackup();
    await tradeUntilReference();
    const left = await Promise.all(skus.map((sku_id) => bench.leftOf(sku_id)));
    const [late, near] = [await transactionOf('late'), await transactionOf('near')];
    const before = await books('before');
    await sleep(WATERMARK_MS);
    await bench.copies.restore(0, 'backup');
    await orders.becomes('refused');
    await endReference(1);
    const against = ['--against', await bench.against([0])];
    const compared = await bench.command(...against);
    expect(compared.code, compared.stderr).to.equal(1);
    for (const [order_id, id] of [
      ['late', late],
      ['near', near],
    ])
      expect(compared.stdout).to.match(new RegExp(`^cart: order_id "${order_id}", id "${id}"`, 'm'));
    expect(compared.stdout)
      .to.match(/^flow: .*order_detail_id "held-0", quantity 2 /m)
      // A hold that ended since then is no missing record, and no change since the restore.
      .and.not.to.match(/records that the reference copy lacks/)
      .and.not.to.match(/undone|"refused"/);
    expect(await books()).not.to.deep.equal(before);

    // It is copied, and not reopened, because the reference copy is not known to be complete.
    const copied = await bench.command(...against, '--put-back');
    expect(copied.code, copied.stdout).to.equal(1);
    expect(copied.stdout).to.match(/goes no further than/);
    expect(await books()).to.deep.equal(before);
    expect(await bench.own.query(0, "SELECT 1 FROM order_record WHERE state = 'aborted'")).to.deep.equal([]);
    expect(await bench.own.query(0, 'SELECT 1 FROM aborted_record')).to.deep.equal([]);

    await endReference(LATER);
    const done = await bench.command(...against, '--put-back');
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    await orders.becomes('serving');
    // The hold at the end of the reference copy was sold by its record on another shard.
    await noHolds();
    expect(await Promise.all(skus.map((sku_id) => bench.leftOf(sku_id)))).to.deep.equal(left);
    await orders.expectReplays();
    await orders.expectReconciled();
  }).timeout(120_000);
});
