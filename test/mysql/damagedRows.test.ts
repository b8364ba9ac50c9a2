import { expect } from 'chai';
import { layoutFault, unsplitLayout } from '../../src/core/hot/layout.ts';
import { UnreadableRows } from '../../src/service/tasks/unreadableRows.ts';
import { runFile } from '../support/run/command.ts';
import { IN_TRANSACTION, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import {
  DAMAGED_LINES,
  holdsOn,
  keptLog,
  leaveCart,
  RECORD_TABLES,
  unreadableRows,
} from '../support/rows/damagedRows.ts';
import type { LeftCart } from '../support/rows/damagedRows.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARDS = 2;
const WAIT_MS = 30_000;
const TEST_MS = 120_000;
/** More than one sweep of a real gateway reads of a kind. */
const MANY = 220;
/** Old enough for a layout or a transfer to count as abandoned. */
const LONG_AGO = 'NOW(6) - INTERVAL 10 MINUTE';

describe('a damaged row', () => {
  let own: OwnShards;
  let gateway: TestGateway;
  let kept: ReturnType<typeof keptLog>;

  beforeEach(async function () {
    this.timeout(TEST_MS);
    own = await ownShards({ count: SHARDS, migrated: true });
    kept = keptLog();
    gateway = await startTestGateway({}, own, kept.log);
  });
  afterEach(async () => {
    await gateway.stop();
    await own.drop();
  });

  const logged = (kind: string): unknown[] =>
    kept.lines.flatMap(({ msg, kind: of, row }) => (msg === 'unreadable row left alone' && of === kind ? [row] : []));
  const faults = (): unknown[] => kept.lines.filter(({ msg }) => msg === 'fault');
  const layout = async (sku_id: string): Promise<Record<string, unknown>> =>
    (await own.query(0, `SELECT * FROM hot_sku WHERE sku_id = '${sku_id}'`))[0] ?? {};
  const resize = async (sku_id: string, sub_rows: number): Promise<number> =>
    (await gateway.adminPut(`/v1/skus/${encodeURIComponent(sku_id)}/hot`, { sub_rows })).status;
  const sell = async (sku_id: string, order_detail_id: string): Promise<number> =>
    (await gateway.deduct({ sku_id, order_detail_id, quantity: 1 })).status;
  const split = async (name: string): Promise<string> => {
    const sku_id = skuOn(0, fresh(name), SHARDS);
    await gateway.openSku(sku_id, 10);
    expect(await resize(sku_id, 2)).to.equal(200);
    await eventually('it is split', WAIT_MS, async () => (await layout(sku_id))['earlier'] === '[]');
    return sku_id;
  };

  it('of a cart stops neither the completion of other carts nor its own: its state alone decides the end', async () => {
    const left: LeftCart[] = [];
    for (const lines of [...DAMAGED_LINES, null]) {
      for (const state of ['open', 'committed'] as const) left.push(await leaveCart(own, { shard: 0, state, lines }));
    }
    await eventually('all holds are completed', WAIT_MS, async () => (await holdsOn(own, 0)) === 0);
    for (const [place, { sku_id }] of left.entries()) {
      const stock = await own.query(0, `SELECT leaved_amount, held_amount FROM stock WHERE sku_id = '${sku_id}'`);
      expect(stock).to.deep.equal([{ leaved_amount: place % 2 === 0 ? 1 : 0, held_amount: 0 }]);
    }
    const damaged = left.slice(0, 2 * DAMAGED_LINES.length).map(({ order_id }) => `order "${order_id}" attempt 1`);
    expect(logged('cart').sort(), 'each reported once').to.deep.equal(damaged.sort());
    expect(await unreadableRows(gateway, 'cart', 0)).to.equal(damaged.length);
    expect(await unreadableRows(gateway, 'cart', 1)).to.equal(0);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('that no sweep can complete does not delay other rows, however many and old such rows are', async () => {
    const insertMany = (table: string, columns: string, values: string): Promise<unknown> => {
      const rows = Array.from(
        { length: MANY },
        (_, number) => `(CONCAT(0xFF, '${number}'), ${values}, ${LONG_AGO} - INTERVAL 1 DAY)`,
      );
      return own.query(0, `INSERT INTO ${table} (${columns}, created_at) VALUES ${rows.join(', ')}`);
    };
    await insertMany('cart', 'order_id, attempt, token, state, order_lines', "1, 'token', 'open', '[]'");
    await insertMany('cart_hold', 'sku_id, order_detail_id, order_id, attempt', "'detail', 'order', 1");
    await leaveCart(own, { shard: 0, state: 'open', lines: null });
    await eventually('the others are completed', WAIT_MS, async () => (await holdsOn(own, 0)) === MANY);
    await eventually('the carts are counted', WAIT_MS, async () => (await unreadableRows(gateway, 'cart', 0)) === MANY);
    expect(new Set(logged('cart')).size).to.equal(logged('cart').length);
    expect(logged('cart')).to.include('order 0xff30 attempt 1');
    expect(await own.query(0, 'SELECT COUNT(*) AS carts FROM cart')).to.deep.equal([{ carts: MANY + 1 }]);
  }).timeout(TEST_MS);

  for (const by of ['cart', 'transaction'] as const) {
    it(`of a ${by} does not block orders that find its hold, nor its own order`, async () => {
      await gateway.stop();
      const sold = await leaveCart(own, { shard: 0, state: 'committed', lines: 'not json', by });
      const undone = await leaveCart(own, { shard: 0, state: 'aborted', lines: 'not json', by });
      await own.query(0, 'UPDATE cart_hold SET created_at = NOW(6) + INTERVAL 3 SECOND');
      const { around } = by === 'cart' ? WITH_ATTEMPTS : IN_TRANSACTION;
      gateway = await startTestGateway({}, own, kept.log, (ports) => around(ports));
      const buy = ({ sku_id }: LeftCart) => gateway.deduct({ sku_id, order_detail_id: fresh('other'), quantity: 1 });
      const answers = [await buy(sold), await buy(undone)].map(({ status, body }) => `${status} ${String(body?.code)}`);
      expect(answers).to.deep.equal(['409 insufficient_stock', '201 undefined']);
      const beside = skuOn(1, fresh('beside'), SHARDS);
      await gateway.openSku(beside, 1);
      // An order over two shards, whose record is the damaged one.
      const flow = `'${beside}', 'b', '${sold.order_id}', 1, 1, 'deducted'`;
      await own.query(
        1,
        `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES (${flow})`,
      );
      await own.query(1, `UPDATE stock SET leaved_amount = 0 WHERE sku_id = '${beside}'`);
      const ids = [
        [sold.sku_id, sold.order_id],
        [beside, 'b'],
      ];
      const lines = ids.map(([sku_id, order_detail_id]) => ({ sku_id, order_detail_id, quantity: 1 }));
      const again = await gateway.post('/v1/deductions', { order_id: sold.order_id, lines });
      const replayed = (again.body?.lines as { replayed: boolean }[]).map((line) => line.replayed);
      expect([again.status, replayed]).to.deep.equal([200, [true, true]]);
      expect(faults()).to.deep.equal([]);
    }).timeout(TEST_MS);

    it(`of a ${by} with an unknown state makes orders that find its hold wait, then answers overloaded`, async () => {
      const left = await leaveCart(own, { shard: 0, state: 'committed', lines: null, by });
      await own.query(0, 'UPDATE cart_hold SET created_at = NOW(6) + INTERVAL 1 DAY');
      // As a session without strict mode writes it.
      const of = `${RECORD_TABLES[by]} SET state = 'no word' WHERE order_id = '${left.order_id}'`;
      await own.query(0, `UPDATE IGNORE ${of}`);
      const record = await own.query(0, `SELECT state FROM ${RECORD_TABLES[by]} WHERE order_id = '${left.order_id}'`);
      expect(record).to.deep.equal([{ state: '' }]);
      const line = { sku_id: left.sku_id, order_detail_id: fresh('other'), quantity: 1 };
      const { status, body } = await gateway.deduct(line);
      expect([status, body?.code]).to.deep.equal([503, 'overloaded']);
      expect(logged('cart')).to.deep.equal([`order "${left.order_id}"`]);
      expect(await holdsOn(own, 0)).to.equal(1);
      expect(faults()).to.deep.equal([]);
    }).timeout(TEST_MS);
  }

  it('of a layout makes only its own SKU unavailable, and the layouts of other SKUs are still maintained', async () => {
    const [damaged, other] = [await split('damaged'), await split('other')];
    const change = (sku_id: string, to: string): Promise<unknown> =>
      own.query(0, `UPDATE hot_sku SET ${to}, changed_at = ${LONG_AGO} WHERE sku_id = '${sku_id}'`);
    await change(damaged, "earlier = 'not json', shards = '[0,99]'");
    await change(other, "state = 'opening'");
    await leaveCart(own, { shard: 0, state: 'open', lines: 'not json' });
    await gateway.stop();
    gateway = await startTestGateway({}, own, kept.log);
    await eventually('the other layout is reopened', WAIT_MS, async () => (await layout(other))['state'] === 'open');
    const path = `/v1/skus/${encodeURIComponent(damaged)}`;
    const answers = [
      await gateway.deduct({ sku_id: damaged, order_detail_id: 'a', quantity: 1 }),
      ...[await gateway.get(path), await gateway.get(`${path}/flows`)],
      await gateway.adminPut(`${path}/hot`, { sub_rows: 4 }),
      await gateway.adminPut(`${path}/sale`, { state: 'paused' }),
    ];
    const codes = answers.map(({ status, body }) => `${status} ${String(body?.code)}`);
    expect(codes).to.deep.equal(answers.map(() => '503 overloaded'));
    expect(await sell(other, 'a')).to.equal(201);
    expect(await unreadableRows(gateway, 'layout', 0)).to.equal(1);
    expect(logged('layout')).to.include(`SKU "${damaged}"`);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a layout is detected by its contradictions', () => {
    const open = { state: 'open' as const, epoch: 1, lastEpoch: 1 };
    const whole = { ...unsplitLayout('sku', 0), ...open, placement: [0, 1], shards: [0, 1] };
    expect(layoutFault(whole, 2)).to.equal(null);
    expect(layoutFault(whole, 1)).to.equal('places names shard 1, expected 0 to 0');
    expect(layoutFault({ ...whole, placement: [] }, 2)).to.equal('places is empty');
    expect(layoutFault({ ...whole, shards: [0] }, 2)).to.equal('places names shard 1, which shards does not name');
    expect(layoutFault({ ...whole, earlierPlacements: [[0], [3]] }, 2)).to.equal(
      'earlier names shard 3, expected 0 to 1',
    );
    expect(layoutFault({ ...whole, state: 'closing' }, 2)).to.equal('state is closing and next_places is missing');
    expect(layoutFault({ ...whole, nextPlacement: [0] }, 2)).to.equal('state is open and next_places is set');
    expect(layoutFault({ ...whole, epoch: 2 }, 2)).to.equal('epoch is 2, above last_epoch 1');
    expect(layoutFault({ ...whole, state: 'single' }, 2)).to.equal('state is single and places has 2 rows, expected 1');
  });

  it('of a transfer to a shard that does not exist stays open, and other transfers are received', async () => {
    const [damaged, other] = [await split('damaged'), await split('other')];
    const columns = 'sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open, created_at';
    const transfer = (sku_id: string, to: number): Promise<unknown> => {
      const values = `'${sku_id}', UNHEX(LEFT(SHA2('${sku_id}', 256), 32)), 'out', 0, 1, ${to}, 1, 1, ${LONG_AGO}`;
      return own.query(0, `INSERT INTO transfer (${columns}) VALUES (${values})`);
    };
    await transfer(damaged, 99);
    await transfer(other, 1);
    const open = async (sku_id: string): Promise<number> =>
      (await own.query(0, `SELECT 1 FROM transfer WHERE is_open = 1 AND sku_id = '${sku_id}'`)).length;
    await eventually('the other transfer is received', WAIT_MS, async () => (await open(other)) === 0);
    const isReported = async (): Promise<boolean> => (await unreadableRows(gateway, 'transfer', 0)) === 1;
    await eventually('the damaged one is reported', WAIT_MS, isReported);
    expect(await open(damaged)).to.equal(1);
    expect(await sell(damaged, 'a')).to.equal(201);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a flow gets no pointer, and the ids after it do', async () => {
    const sku_id = skuOn(0, fresh('flows'), SHARDS);
    await gateway.openSku(sku_id, 100);
    const ids = ['a', 'b', '\u{e9}', '\u{10ffff}', ...Array.from({ length: 20 }, (_, number) => `id ${number}`)];
    for (const id of ids) expect(await sell(sku_id, id), id).to.equal(201);
    const flows = ['0x80', '0xFF'].map((id) => `('${sku_id}', ${id}, 'order', 1, 0, 'deducted')`);
    const columns = 'sku_id, order_detail_id, order_id, quantity, attempt, status';
    await own.query(0, `INSERT INTO flow (${columns}) VALUES ${flows.join(', ')}`);
    expect(await resize(sku_id, 2)).to.equal(200);
    await eventually('all ids have pointers', WAIT_MS, async () => (await layout(sku_id))['earlier'] === '[]');
    for (const id of ids) expect(await sell(sku_id, id), id).to.equal(200);
    expect(logged('flow').sort()).to.deep.equal(['0x80', '0xff'].map((id) => `SKU "${sku_id}" order detail ${id}`));
  }).timeout(TEST_MS);

  it('is named by a reconciliation, which checks all other rows', async () => {
    await gateway.stop();
    const wrong = await leaveCart(own, { shard: 0, state: 'committed', lines: null });
    const ok = await leaveCart(own, { shard: 0, state: 'aborted', lines: null });
    const damaged = await leaveCart(own, { shard: 0, state: 'committed', lines: 'not json' });
    const record = `0xFF, 1, 'token', 'aborted', '[]', ${LONG_AGO}`;
    await own.query(
      0,
      `INSERT INTO cart (order_id, attempt, token, state, order_lines, decided_at) VALUES (${record})`,
    );
    await own.query(0, "UPDATE flow SET status = 'deducted'");
    await own.query(0, `DELETE FROM flow WHERE sku_id = '${wrong.sku_id}'`);
    const { code, stdout, stderr } = await runFile('src/commands/reconcile.ts', [], own.environment);
    expect(code, stdout).to.equal(1);
    expect(stdout)
      .to.match(/cart_line/)
      .and.to.match(/aborted_line/)
      .and.to.contain(ok.order_id);
    for (const named of [`"${damaged.order_id}"`, '0xff'])
      expect(stderr).to.contain(`the record of order ${named} attempt 1`);
    gateway = await startTestGateway({}, own, kept.log);
  }).timeout(TEST_MS);
});

describe('rows that cannot be read', () => {
  it('are reported once while they are found, and dropped when they are not found for five minutes', () => {
    let nowMs = 0;
    const found: string[] = [];
    const rows = new UnreadableRows(
      ({ row }) => found.push(row),
      () => nowMs,
    );
    const note = (row: string): void => rows.add({ kind: 'cart', shard: 1, row, reason: 'damaged' });
    for (let round = 0; round < 3; round += 1) for (const row of ['a', 'b']) note(row);
    expect([found, rows.counts()]).to.deep.equal([['a', 'b'], [{ kind: 'cart', shard: 1, count: 2 }]]);
    nowMs = 200_000;
    note('a');
    nowMs = 400_000;
    expect(rows.counts()).to.deep.equal([{ kind: 'cart', shard: 1, count: 1 }]);
    note('b');
    expect(found).to.deep.equal(['a', 'b', 'b']);
    for (let row = 0; row < 2_000; row += 1) note(String(row));
    expect(rows.counts()).to.deep.equal([{ kind: 'cart', shard: 1, count: 1_000 }]);
  });
});
