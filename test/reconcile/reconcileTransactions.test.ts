import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { SlotMap } from '../../src/core/slots.ts';
import type { OrderTransaction } from '../../src/core/types.ts';
import { runFile } from '../support/run/command.ts';
import type { Finished } from '../support/run/command.ts';
import { eventually } from '../support/run/eventually.ts';
import { ADMIN_ROUTES, expectDeclared } from '../support/gateway/contract.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import {
  differenceTexts,
  heldInTransaction,
  oneHeld,
  recordOf,
  transactionHoldRow,
} from '../support/rows/plantedDifferences.ts';
import type { ReportedDifference } from '../support/rows/plantedDifferences.ts';
import { skuOn } from '../support/engines/traffic.ts';

/** Shards 0 and 2 are on one server, and shard 1 is on another. */
const SHARDS = 3;
const WAIT_MS = 10_000;
const SECONDS_AGO = 60;
/** More than one page of records, and of the lines that transactions sold. */
const MANY = 2_300;
/** A shard that does not exist. */
const NO_SHARD = 999;

type OrderLine = readonly [sku_id: string, order_detail_id: string, quantity: number];

describe('reconciliation of transactions', () => {
  let own: OwnShards;
  let gateway: TestGateway;

  beforeEach(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    gateway = await startTestGateway({}, own);
  });
  afterEach(async () => {
    await gateway.stop();
    await own.drop();
  });

  const sku = async (shard: number, name: string): Promise<string> => {
    const sku_id = skuOn(shard, fresh(name), SHARDS);
    await gateway.openSku(sku_id, 50);
    return sku_id;
  };
  const sell = async (order_id: string, ...lines: readonly OrderLine[]): Promise<void> => {
    const named = lines.map(([sku_id, order_detail_id, quantity]) => ({ sku_id, order_detail_id, quantity }));
    await eventually(`${order_id} is sold`, WAIT_MS, async () => {
      const { status } = await gateway.post('/v1/deductions', { order_id, lines: named });
      return status === 200 || status === 201;
    });
  };
  const plant = async (shard: number, ...statements: readonly string[]): Promise<void> => {
    for (const sql of statements) await own.query(shard, sql);
  };
  /** The transaction of an order, by the shard that must have its record. */
  const transactionOf = async (order_id: string, coordinator: number): Promise<OrderTransaction> => {
    const found = await own.query(
      coordinator,
      `SELECT LOWER(HEX(transaction_id)) AS id FROM order_record WHERE order_id = '${order_id}'`,
    );
    expect(found, order_id).to.have.length(1);
    return { transaction_id: String(found[0]?.['id']), coordinator };
  };
  const completed = (): Promise<void> =>
    eventually('no order has a hold', WAIT_MS, async () => {
      for (let shard = 0; shard < SHARDS; shard += 1)
        if ((await own.query(shard, 'SELECT 1 FROM cart_hold')).length > 0) return false;
      return true;
    });
  const command = (...args: string[]): Promise<Finished> => runFile('src/commands/reconcile.ts', args, own.environment);
  const found = async (...args: string[]): Promise<string[]> => {
    const { stdout, stderr } = await command('--json', ...args);
    expect(stdout, stderr).to.match(/^\{/);
    return differenceTexts(JSON.parse(stdout).differences as ReportedDifference[]);
  };
  const overHttp = async (): Promise<string[]> => {
    const answer = await gateway.adminPost('/v1/reconciliations', {});
    expectDeclared(ADMIN_ROUTES, 'POST', '/v1/reconciliations', answer);
    return differenceTexts(answer.body.differences as ReportedDifference[]);
  };

  it('finds lines that a committed record names and that have no flow, and no difference in replays', async () => {
    const [here, there, beside] = [await sku(0, 'here'), await sku(1, 'there'), await sku(2, 'beside')];
    // The first line was sold before, alone: its flow names no transaction.
    await sell('grown', [here, 'grown', 1]);
    await sell('grown', [here, 'grown', 1], [there, 'grown', 2]);
    await sell('several servers', [here, 'far', 4], [there, 'far', 1], [beside, 'far', 1]);
    await sell('one server', [here, 'near', 2], [beside, 'near', 3]);
    await sell('cancelled', [here, 'no', 1], [there, 'no', 1]);
    await completed();
    expect(
      (
        await gateway.post('/v1/cancellations', {
          order_id: 'cancelled',
          lines: [{ sku_id: here, order_detail_id: 'no' }],
        })
      ).status,
    ).to.equal(200);
    expect(await overHttp()).to.deep.equal([]);
    const [far, near] = [await transactionOf('several servers', 0), await transactionOf('one server', 0)];

    await plant(
      0,
      `DELETE FROM flow WHERE order_detail_id = 'far'`,
      `UPDATE stock SET leaved_amount = leaved_amount + 4 WHERE sku_id = '${here}'`,
    );
    await plant(
      2,
      `DELETE FROM flow WHERE order_detail_id = 'near'`,
      `UPDATE stock SET leaved_amount = leaved_amount + 3 WHERE sku_id = '${beside}'`,
    );
    const all = [
      `cart_line | shard 0 | ${here} | 0 instead of 4 | far | several servers ${far.transaction_id}`,
      `cart_line | shard 2 | ${beside} | 0 instead of 3 | near | one server ${near.transaction_id}`,
    ].sort();
    expect(await found()).to.deep.equal(all);
    expect(await overHttp()).to.deep.equal(all);
    expect(await found('--sku', beside)).to.deep.equal(all.filter((text) => text.includes(beside)));
    expect((await command('--sku', here)).stdout).to.contain(
      `far of order several servers, transaction ${far.transaction_id}`,
    );
  }).timeout(60_000);

  it('finds sold lines whose transaction is aborted, or has no record, or no coordinator that exists', async () => {
    const [here, there, beside] = [await sku(0, 'here'), await sku(1, 'there'), await sku(2, 'beside')];
    await sell('kept', [here, 'kept', 1], [there, 'kept', 1]);
    await sell('lost', [here, 'lost', 2], [there, 'lost', 3]);
    await sell('aborted', [here, 'aborted', 4], [beside, 'aborted', 5]);
    await sell('nowhere', [here, 'nowhere', 6], [there, 'nowhere', 7]);
    await completed();
    await gateway.stop();
    const ids = new Map<string, string>();
    for (const order_id of ['lost', 'aborted', 'nowhere'])
      ids.set(order_id, `${order_id} ${(await transactionOf(order_id, 0)).transaction_id}`);
    await plant(
      0,
      "DELETE FROM order_record WHERE order_id = 'lost'",
      "UPDATE order_record SET state = 'aborted', order_lines = '[]' WHERE order_id = 'aborted'",
    );
    await plant(1, `UPDATE flow SET coordinator = ${NO_SHARD} WHERE order_id = 'nowhere'`);
    const all = [
      `aborted_line | shard 0 | ${here} | 2 instead of 0 | lost | ${ids.get('lost')}`,
      `aborted_line | shard 1 | ${there} | 3 instead of 0 | lost | ${ids.get('lost')}`,
      `aborted_line | shard 0 | ${here} | 4 instead of 0 | aborted | ${ids.get('aborted')}`,
      `aborted_line | shard 2 | ${beside} | 5 instead of 0 | aborted | ${ids.get('aborted')}`,
      `aborted_line | shard 1 | ${there} | 7 instead of 0 | nowhere | ${ids.get('nowhere')}`,
    ].sort();
    expect(await found()).to.deep.equal(all);
    expect(await found('--sku', there)).to.deep.equal(all.filter((text) => text.includes(there)));
  }).timeout(60_000);

  it('finds holds of transactions that were decided long ago, or have no record, and no younger ones', async () => {
    const ids = ['committed', 'aborted', 'unrecorded', 'lately', 'young', 'nowhere'] as const;
    // The slot of none of these orders is on the coordinator.
    for (const order_id of ids) expect(new SlotMap(SHARDS).shardOf(order_id), order_id).not.to.equal(1);
    const skus = new Map<string, string>();
    for (const name of ids) skus.set(name, await sku(0, name));
    const crossed = await sku(0, 'crossed');
    // No sweeper completes what is planted.
    await gateway.stop();
    const begin = (coordinator: number): OrderTransaction => ({
      transaction_id: randomBytes(16).toString('hex'),
      coordinator,
    });
    const transactions = new Map(ids.map((name) => [name, begin(name === 'nowhere' ? NO_SHARD : 1)]));
    for (const [name, transaction] of transactions) {
      const sku_id = skus.get(name) ?? '';
      const age = name === 'young' ? 0 : SECONDS_AGO;
      await plant(
        0,
        heldInTransaction(sku_id, name, transaction),
        oneHeld(sku_id),
        transactionHoldRow(sku_id, name, transaction, age),
      );
    }
    for (const [name, state, age] of [
      ['committed', 'committed', SECONDS_AGO],
      ['aborted', 'aborted', SECONDS_AGO],
      ['lately', 'committed', 1],
    ] as const)
      await plant(1, recordOf(name, transactions.get(name) ?? begin(1), state, age));
    // The hold row of another transaction: the sweeper would not find the hold.
    await plant(
      0,
      heldInTransaction(crossed, 'crossed', begin(1)),
      oneHeld(crossed),
      transactionHoldRow(crossed, 'crossed', begin(1), 0),
    );
    const left = (['committed', 'aborted', 'unrecorded', 'nowhere'] as const).map((name) => {
      const id = transactions.get(name)?.transaction_id;
      return `hold_left | shard 0 | ${skus.get(name)} | 1 instead of 0 | d-${name} | ${name} ${id}`;
    });
    const both = `hold_row | shard 0 | ${crossed} | 1 instead of 1 | d-crossed+d-crossed | `;
    expect(await found()).to.deep.equal([...left, both].sort());
  }).timeout(60_000);

  it('finds the few wrong transactions among many, page by page', async () => {
    const [here, elsewhere] = [await sku(0, 'here'), await sku(2, 'elsewhere')];
    await gateway.stop();
    const numbers = Array.from({ length: MANY }, (_, number) => number);
    const idOf = (number: number): string => number.toString(16).padStart(32, '0');
    const wrong = [0, 1, 148, 149, 150, 151, 1_999, 2_000, MANY - 1];
    const texts = (kind: string, shard: number, sku_id: string, amounts: string): string[] =>
      wrong.map(
        (number) => `${kind} | shard ${shard} | ${sku_id} | ${amounts} | d${number} | o${number} ${idOf(number)}`,
      );
    const flows = (sku_id: string, some: readonly number[]): string =>
      `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, transaction_id, coordinator)
       VALUES ${some.map((one) => `('${sku_id}', 'd${one}', 'o${one}', 1, X'${idOf(one)}', 1)`).join(', ')}`;
    const rights = numbers.filter((number) => !wrong.includes(number));
    const stock = (sku_id: string, sold: number): string =>
      `UPDATE stock SET opening_amount = ${MANY}, leaved_amount = ${MANY - sold} WHERE sku_id = '${sku_id}'`;
    // Every record names a line on shard 0, and a few of these lines have no flow.
    await plant(
      1,
      `INSERT INTO order_record (transaction_id, state, order_id, order_lines) VALUES ${numbers
        .map((number) => `(X'${idOf(number)}', 'committed', 'o${number}', '[["${here}","d${number}",1,0]]')`)
        .join(', ')}`,
    );
    await plant(0, flows(here, rights), stock(here, rights.length));
    expect(await found()).to.deep.equal(texts('cart_line', 0, here, '0 instead of 1').sort());

    // Now a few of the flows have no record.
    await plant(
      1,
      `DELETE FROM order_record WHERE transaction_id IN (${wrong.map((one) => `X'${idOf(one)}'`).join(', ')})`,
    );
    await plant(2, flows(elsewhere, numbers), stock(elsewhere, MANY));
    expect(await found()).to.deep.equal(texts('aborted_line', 2, elsewhere, '1 instead of 0').sort());
  }).timeout(60_000);

  it('reports a record that cannot be read, and judges the others', async () => {
    const [here, there] = [await sku(0, 'here'), await sku(1, 'there')];
    for (const order_id of ['torn', 'far', 'stateless', 'sound'])
      await sell(order_id, [here, order_id, 1], [there, order_id, 1]);
    await completed();
    await gateway.stop();
    const sound = await transactionOf('sound', 0);
    await plant(
      0,
      "UPDATE order_record SET order_lines = '[[1]]' WHERE order_id = 'torn'",
      `UPDATE order_record SET order_lines = '[["${there}","far",1,${NO_SHARD}]]' WHERE order_id = 'far'`,
    );
    await plant(0, "ALTER TABLE order_record MODIFY state ENUM('committed', 'aborted', 'other') NOT NULL");
    await plant(0, "UPDATE order_record SET state = 'other' WHERE order_id = 'stateless'");
    await plant(
      1,
      "DELETE FROM flow WHERE order_id = 'sound'",
      `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${there}'`,
    );
    const { stdout, stderr, code } = await command('--json');
    expect(code).to.equal(1);
    expect(differenceTexts(JSON.parse(stdout).differences as ReportedDifference[])).to.deep.equal([
      `cart_line | shard 1 | ${there} | 0 instead of 1 | sound | sound ${sound.transaction_id}`,
    ]);
    expect(stderr)
      .to.match(/3 rows cannot be read: /)
      .and.to.match(/the record of order "torn" transaction [0-9a-f]{32}: order_lines is not a JSON list/)
      .and.to.match(/the record of order "far" transaction [0-9a-f]{32}: a line lies on shard 999, expected 0 to 2/)
      .and.to.match(/the record of order "stateless" transaction [0-9a-f]{32}: its state is "other"/);
  }).timeout(60_000);
});
