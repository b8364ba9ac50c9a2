import { expect } from 'chai';
import { layoutFault, unsplit } from '../src/core/layout.ts';
import { UnreadableRows } from '../src/service/unreadableRows.ts';
import { runFile } from './support/command.ts';
import { DAMAGED_LINES, holdsOn, keptLog, leaveCart, unreadableRows } from './support/damagedRows.ts';
import type { LeftCart } from './support/damagedRows.ts';
import { eventually } from './support/eventually.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { ownShards } from './support/ownShards.ts';
import type { OwnShards } from './support/ownShards.ts';
import { skuOn } from './support/traffic.ts';

const SHARDS = 2;
const WAIT_MS = 30_000;
const TEST_MS = 120_000;
/** More than one look takes up of a kind in a real gateway. */
const MANY = 220;
/** A stale layout, a transfer that was forgotten. */
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

  const logged = (kind: string): unknown[] => kept.lines.filter(({ msg, kind: of }) => msg === 'unreadable row left alone' && of === kind).map(({ row }) => row);
  const faults = (): unknown[] => kept.lines.filter(({ msg }) => msg === 'fault');
  const layout = async (sku_id: string, shard: number): Promise<Record<string, unknown>> => (await own.query(shard, `SELECT * FROM hot_sku WHERE sku_id = '${sku_id}'`))[0] ?? {};
  const split = async (name: string): Promise<string> => {
    const sku_id = skuOn(0, fresh(name), SHARDS);
    await gateway.openSku(sku_id, 10);
    expect((await gateway.adminPut(`/v1/skus/${encodeURIComponent(sku_id)}/hot`, { sub_rows: 2 })).status).to.equal(200);
    await eventually('it is split', WAIT_MS, async () => (await layout(sku_id, 0))['earlier'] === '[]');
    return sku_id;
  };

  it('of a cart stops neither the settling of others nor its own: the state alone says how it ended', async () => {
    const left: LeftCart[] = [];
    for (const lines of DAMAGED_LINES) left.push(await leaveCart(own, { shard: 0, state: 'open', lines }), await leaveCart(own, { shard: 0, state: 'committed', lines }));
    left.push(await leaveCart(own, { shard: 0, state: 'open', lines: null }), await leaveCart(own, { shard: 0, state: 'committed', lines: null }));
    await eventually('all holds are settled', WAIT_MS, async () => (await holdsOn(own, 0)) === 0);
    for (const [place, { sku_id }] of left.entries()) {
      expect(await own.query(0, `SELECT leaved_amount, held_amount FROM stock WHERE sku_id = '${sku_id}'`)).to.deep.equal([{ leaved_amount: place % 2 === 0 ? 1 : 0, held_amount: 0 }]);
    }
    const damaged = left.slice(0, 2 * DAMAGED_LINES.length).map(({ order_id }) => `order "${order_id}" attempt 1`);
    expect(logged('cart').sort(), 'each once').to.deep.equal(damaged.sort());
    expect(await unreadableRows(gateway, 'cart', 0)).to.equal(damaged.length);
    expect(await unreadableRows(gateway, 'cart', 1)).to.equal(0);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('that no look can settle does not use up the looks of the others, however many there are and however old', async () => {
    const rows = Array.from({ length: MANY }, (_, number) => `(CONCAT(0xFF, '${number}'), 1, 'token', 'open', '[]', ${LONG_AGO} - INTERVAL 1 DAY)`);
    await own.query(0, `INSERT INTO cart (order_id, attempt, token, state, order_lines, created_at) VALUES ${rows.join(', ')}`);
    const holds = Array.from({ length: MANY }, (_, number) => `(CONCAT(0xFF, '${number}'), 'detail', 'order', 1, ${LONG_AGO} - INTERVAL 1 DAY)`);
    await own.query(0, `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, created_at) VALUES ${holds.join(', ')}`);
    await leaveCart(own, { shard: 0, state: 'open', lines: null });
    await eventually('the others are settled', WAIT_MS, async () => (await holdsOn(own, 0)) === MANY);
    await eventually('the carts are counted', WAIT_MS, async () => (await unreadableRows(gateway, 'cart', 0)) === MANY);
    expect(new Set(logged('cart')).size).to.equal(logged('cart').length);
    expect(logged('cart')).to.include('order 0xff30 attempt 1');
    expect(await own.query(0, 'SELECT COUNT(*) AS carts FROM cart')).to.deep.equal([{ carts: MANY + 1 }]);
  }).timeout(TEST_MS);

  it('of a cart is no obstacle to orders that meet its hold, nor to its own order', async () => {
    await gateway.stop();
    const sold = await leaveCart(own, { shard: 0, state: 'committed', lines: 'not json' });
    const undone = await leaveCart(own, { shard: 0, state: 'aborted', lines: 'not json' });
    await own.query(0, "UPDATE cart_hold SET created_at = NOW(6) + INTERVAL 3 SECOND");
    gateway = await startTestGateway({}, own, kept.log);
    const buy = ({ sku_id }: LeftCart) => gateway.deduct({ sku_id, order_detail_id: fresh('other'), quantity: 1 });
    expect([await buy(sold), await buy(undone)].map(({ status, body }) => [status, body?.code])).to.deep.equal([[409, 'insufficient_stock'], [201, undefined]]);
    const beside = skuOn(1, fresh('beside'), SHARDS);
    await gateway.openSku(beside, 1);
    // A cart over two shards, whose record is the damaged one.
    await own.query(1, `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ('${beside}', 'b', '${sold.order_id}', 1, 1, 'deducted')`);
    await own.query(1, `UPDATE stock SET leaved_amount = 0 WHERE sku_id = '${beside}'`);
    const lines = [{ sku_id: sold.sku_id, order_detail_id: sold.order_id, quantity: 1 }, { sku_id: beside, order_detail_id: 'b', quantity: 1 }];
    const again = await gateway.post('/v1/deductions', { order_id: sold.order_id, lines });
    expect([again.status, (again.body?.lines as { replayed: boolean }[]).map(({ replayed }) => replayed)]).to.deep.equal([200, [true, true]]);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a cart whose state is no word makes orders that meet its hold wait, and says "overloaded" then', async () => {
    const left = await leaveCart(own, { shard: 0, state: 'committed', lines: null });
    await own.query(0, "UPDATE cart_hold SET created_at = NOW(6) + INTERVAL 1 DAY");
    // As a session without strict mode writes it.
    await own.query(0, `UPDATE IGNORE cart SET state = 'no word' WHERE order_id = '${left.order_id}'`);
    expect(await own.query(0, `SELECT state FROM cart WHERE order_id = '${left.order_id}'`)).to.deep.equal([{ state: '' }]);
    const { status, body } = await gateway.deduct({ sku_id: left.sku_id, order_detail_id: fresh('other'), quantity: 1 });
    expect([status, body?.code]).to.deep.equal([503, 'overloaded']);
    expect(logged('cart')).to.deep.equal([`order "${left.order_id}"`]);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a layout makes its own SKU unavailable and no other, and split SKUs are looked after all the same', async () => {
    const [damaged, other] = [await split('damaged'), await split('other')];
    await own.query(0, `UPDATE hot_sku SET earlier = 'not json', shards = '[0,99]', changed_at = ${LONG_AGO} WHERE sku_id = '${damaged}'`);
    await own.query(0, `UPDATE hot_sku SET state = 'opening', changed_at = ${LONG_AGO} WHERE sku_id = '${other}'`);
    await leaveCart(own, { shard: 0, state: 'open', lines: 'not json' });
    await gateway.stop();
    gateway = await startTestGateway({}, own, kept.log);
    await eventually('the other is tended', WAIT_MS, async () => (await layout(other, 0))['state'] === 'open');
    const path = `/v1/skus/${encodeURIComponent(damaged)}`;
    const answers = [
      await gateway.deduct({ sku_id: damaged, order_detail_id: 'a', quantity: 1 }), await gateway.get(path), await gateway.get(`${path}/flows`),
      await gateway.adminPut(`${path}/hot`, { sub_rows: 4 }), await gateway.adminPut(`${path}/sale`, { state: 'paused' }),
    ];
    expect(answers.map(({ status, body }) => `${status} ${String(body?.code)}`)).to.deep.equal(answers.map(() => '503 overloaded'));
    expect((await gateway.deduct({ sku_id: other, order_detail_id: 'a', quantity: 1 })).status).to.equal(201);
    expect(await unreadableRows(gateway, 'layout', 0)).to.equal(1);
    expect(logged('layout')).to.include(`SKU "${damaged}"`);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a layout is found by its contradictions, too', () => {
    const whole = { ...unsplit('sku', 0), state: 'open' as const, epoch: 1, lastEpoch: 1, places: [0, 1], shards: [0, 1] };
    expect(layoutFault(whole, 2)).to.equal(null);
    expect(layoutFault(whole, 1)).to.equal('places names shard 1, expected 0 to 0');
    expect(layoutFault({ ...whole, places: [] }, 2)).to.equal('places is empty');
    expect(layoutFault({ ...whole, shards: [0] }, 2)).to.equal('places names shard 1, which shards does not name');
    expect(layoutFault({ ...whole, earlier: [[0], [3]] }, 2)).to.equal('earlier names shard 3, expected 0 to 1');
    expect(layoutFault({ ...whole, state: 'closing' }, 2)).to.equal('state is closing and next_places is missing');
    expect(layoutFault({ ...whole, nextPlaces: [0] }, 2)).to.equal('state is open and next_places is set');
    expect(layoutFault({ ...whole, epoch: 2 }, 2)).to.equal('epoch is 2, above last_epoch 1');
    expect(layoutFault({ ...whole, state: 'single' }, 2)).to.equal('state is single and places has 2 rows, expected 1');
  });

  it('of a transfer to a shard that does not exist stays open, and others are brought in', async () => {
    const [damaged, other] = [await split('damaged'), await split('other')];
    const transfer = (sku_id: string, to: number): Promise<unknown> =>
      own.query(0, `INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open, created_at) VALUES ('${sku_id}', UNHEX(MD5('${sku_id}')), 'out', 0, 1, ${to}, 1, 1, ${LONG_AGO})`).catch(() =>
        // MD5() is gone from MySQL 9.7.
        own.query(0, `INSERT INTO transfer (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open, created_at) VALUES ('${sku_id}', UNHEX(LEFT(SHA2('${sku_id}', 256), 32)), 'out', 0, 1, ${to}, 1, 1, ${LONG_AGO})`));
    await transfer(damaged, 99);
    await transfer(other, 1);
    const open = async (sku_id: string): Promise<number> => Number((await own.query(0, `SELECT COUNT(*) AS n FROM transfer WHERE is_open = 1 AND sku_id = '${sku_id}'`))[0]?.['n']);
    await eventually('the other is brought in', WAIT_MS, async () => (await open(other)) === 0);
    await eventually('the damaged one is reported', WAIT_MS, async () => (await unreadableRows(gateway, 'transfer', 0)) === 1);
    expect(await open(damaged)).to.equal(1);
    expect((await gateway.deduct({ sku_id: damaged, order_detail_id: 'a', quantity: 1 })).status).to.equal(201);
    expect(faults()).to.deep.equal([]);
  }).timeout(TEST_MS);

  it('of a flow gets no pointer, and ids after it do', async () => {
    const sku_id = skuOn(0, fresh('flows'), SHARDS);
    await gateway.openSku(sku_id, 100);
    const ids = ['a', 'b', '\u{e9}', '\u{10ffff}', ...Array.from({ length: 20 }, (_, number) => `id ${number}`)];
    for (const order_detail_id of ids) expect((await gateway.deduct({ sku_id, order_detail_id, quantity: 1 })).status).to.equal(201);
    await own.query(0, `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ('${sku_id}', 0x80, 'order', 1, 0, 'deducted'), ('${sku_id}', 0xFF, 'order', 1, 0, 'deducted')`);
    expect((await gateway.adminPut(`/v1/skus/${encodeURIComponent(sku_id)}/hot`, { sub_rows: 2 })).status).to.equal(200);
    await eventually('all ids are pointed to', WAIT_MS, async () => (await layout(sku_id, 0))['earlier'] === '[]');
    for (const order_detail_id of ids) expect((await gateway.deduct({ sku_id, order_detail_id, quantity: 1 })).status, order_detail_id).to.equal(200);
    expect(logged('flow').sort()).to.deep.equal([`SKU "${sku_id}" order detail 0x80`, `SKU "${sku_id}" order detail 0xff`]);
  }).timeout(TEST_MS);

  it('is named by a reconciliation, which judges all others', async () => {
    await gateway.stop();
    const [wrong, ok] = [await leaveCart(own, { shard: 0, state: 'committed', lines: null }), await leaveCart(own, { shard: 0, state: 'aborted', lines: null })];
    const damaged = await leaveCart(own, { shard: 0, state: 'committed', lines: 'not json' });
    await own.query(0, "INSERT INTO cart (order_id, attempt, token, state, order_lines, decided_at) VALUES (0xFF, 1, 'token', 'aborted', '[]', NOW(6) - INTERVAL 1 HOUR)");
    await own.query(0, "UPDATE flow SET status = 'deducted'");
    await own.query(0, `DELETE FROM flow WHERE sku_id = '${wrong.sku_id}'`);
    const { code, stdout, stderr } = await runFile('scripts/reconcile.ts', [], own.environment);
    expect(code, stdout).to.equal(1);
    expect(stdout.replaceAll(/\s+/g, ' ')).to.match(/cart_line/).and.to.match(/aborted_line/).and.to.contain(ok.order_id);
    expect(stderr).to.contain(`the record of order "${damaged.order_id}" attempt 1`).and.to.contain('the record of order 0xff attempt 1');
    gateway = await startTestGateway({}, own, kept.log);
  }).timeout(TEST_MS);
});

describe('rows that cannot be read', () => {
  it('are reported once while they are found, and forgotten when they are not found for five minutes', () => {
    let nowMs = 0;
    const found: string[] = [];
    const rows = new UnreadableRows(({ row }) => found.push(row), () => nowMs);
    const note = (row: string): void => rows.note({ kind: 'cart', shard: 1, row, reason: 'damaged' });
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
