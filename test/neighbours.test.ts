import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import type { Line } from '../src/core/nouns.ts';
import type { Deduct, Operation } from '../src/core/operation.ts';
import type { DeductOutcome } from '../src/core/outcome.ts';
import type { StockEngine } from '../src/core/ports.ts';
import { slotOf } from '../src/core/slots.ts';
import type { Shard } from '../src/mysql/shard.ts';
import { ShardReader } from '../src/mysql/shardReader.ts';
import { readHolds } from '../src/mysql/sql/holds.ts';
import { ENGINE_OF, isQuiet, openShards } from './support/engines.ts';
import { eventually } from './support/eventually.ts';
import { fresh } from './support/gateway.ts';
import { isBatch } from './support/packets.ts';
import { startPacketProxy } from './support/packetProxy.ts';
import type { PacketProxy } from './support/packetProxy.ts';
import { stack } from './support/setup.ts';
import { addressOf, sideSession } from './support/sideSession.ts';
import { skuOn } from './support/traffic.ts';

const SHARD = 9;
const REQUEST_MS = 3_000;
const OPENED = 100;
/** More lines than go together. */
const MANY = 600;

/** What goes along in one batch is nothing to the others. */
describe('operations of one batch', () => {
  let proxy: PacketProxy;
  let shards: Shard[];
  let engine: StockEngine;
  let reader: ShardReader;

  before(async () => {
    proxy = await startPacketProxy(addressOf(SHARD));
    shards = openShards({
      ...stack(),
      shards: stack().shards.map((shard, index) =>
        index === SHARD ? { ...shard, address: { ...shard.address, port: proxy.port } } : shard,
      ),
    });
    await Promise.all(shards.map(({ tried }) => tried));
    engine = ENGINE_OF.batching(shards);
    reader = new ShardReader(shards);
  });
  after(async () => {
    for (const { pool } of shards) pool.close();
    await proxy.close();
  });
  afterEach(() => eventually('places come back', 3_000, () => isQuiet(shards[SHARD])));

  const deadline = (): number => performance.now() + REQUEST_MS;
  const apply = <O extends Operation>(...operations: O[]) => engine.apply(SHARD, operations, deadline());
  const opened = async (leaved_amount = OPENED): Promise<string> => {
    const sku_id = skuOn(SHARD, fresh('neighbour'));
    await apply({ kind: 'open', sku_id, leaved_amount });
    return sku_id;
  };
  const line = (sku_id: string, order_detail_id = 'a', quantity = 1): Line => ({ sku_id, order_detail_id, quantity });
  const order = (order_id: string, ...lines: Line[]): Deduct => ({ kind: 'deduct', order_id, lines });
  const wordOf = (outcome: DeductOutcome | undefined): string =>
    outcome?.is === 'refused' ? outcome.code : (outcome?.is ?? 'nothing');
  const left = async (sku_id: string): Promise<number | undefined> => {
    const stock = await reader.readStock(SHARD, sku_id, deadline());
    return stock.is === 'found' ? stock.rows[0]?.leaved_amount : undefined;
  };

  it('are answered each for itself: what is bad is refused and the others are done', async () => {
    const [good, twice, paused, taken, gone, short] = await Promise.all([
      opened(),
      opened(),
      opened(),
      opened(),
      opened(),
      opened(2),
    ]);
    await apply<Operation>({ kind: 'sale', sku_id: paused, state: 'paused', from: null }, order('other', line(taken)), {
      kind: 'cancel',
      order_id: 'o',
      lines: [line(gone)],
    });
    const operations = [
      order('o', line(good)),
      order('o', line(skuOn(SHARD, fresh('nobody')))),
      order('o', line(paused)),
      order('o', line(taken)),
      order('o', line(gone)),
      order('o', line(short, 'large', 3)),
      order('o', line(short, 'small', 2)),
      order('o', line(twice)),
      order('o', line(twice)),
    ];
    const words = (await apply(...operations)).map(wordOf);
    const expected = [
      'deducted',
      'unknown_sku',
      'not_on_sale',
      'idempotency_conflict',
      'cancelled',
      'insufficient_stock',
      'deducted',
      'deducted',
      'deducted',
    ];
    expect(words).to.deep.equal(expected);
    expect(await Promise.all([good, twice, paused, taken, gone, short].map(left))).to.deep.equal([
      99, 99, 100, 99, 100, 0,
    ]);
  });

  it('sell one id once, however often it goes along', async () => {
    const sku_id = await opened();
    const outcomes = (await apply(
      ...Array.from({ length: 40 }, () => order('o', line(sku_id, 'a', 3))),
    )) as DeductOutcome[];
    const replays = outcomes.map((outcome) => outcome.is === 'deducted' && outcome.lines[0]?.replayed);
    expect([
      replays.filter((replayed) => replayed === false).length,
      replays.filter((replayed) => replayed === true).length,
    ]).to.deep.equal([1, 39]);
    expect(await left(sku_id)).to.equal(97);
  });

  it('do not refuse small orders behind a large one that does not fit', async () => {
    const sku_id = await opened(10);
    const sizes = [7, 11, 2, 8, 1];
    const words = (await apply(...sizes.map((size, index) => order('o', line(sku_id, `${index}`, size))))).map(wordOf);
    expect(words).to.deep.equal(['deducted', 'insufficient_stock', 'deducted', 'insufficient_stock', 'deducted']);
    expect(await left(sku_id)).to.equal(0);
  });

  it('may be more than go together', async () => {
    const skus = await Promise.all(Array.from({ length: 4 }, () => opened(1_000)));
    const operations = Array.from({ length: MANY }, (_, index) =>
      order(`o-${index}`, line(skus[index % 4] ?? '', `${index}`)),
    );
    const outcomes = await apply(
      ...operations,
      order('long', ...Array.from({ length: MANY }, (_, index) => line(skus[index % 4] ?? '', `long-${index}`))),
    );
    expect(new Set(outcomes.map(({ is }) => is))).to.deep.equal(new Set(['deducted']));
    expect(await Promise.all(skus.map(left))).to.deep.equal([700, 700, 700, 700]);
  });

  it('leave the same rows as one after the other: sold, returned in part and cancelled at once', async () => {
    const rows: unknown[] = [];
    for (const isTogether of [false, true]) {
      const sku_id = await opened();
      const steps: Operation[] = [
        order('o', line(sku_id, 'a', 5), line(sku_id, 'b', 4), line(sku_id, 'c', 3)),
        { kind: 'return', return_id: 'r', ...line(sku_id, 'a', 2) },
        { kind: 'return', return_id: 'r', ...line(sku_id, 'b', 1) },
        { kind: 'cancel', order_id: 'o', lines: [line(sku_id, 'b'), line(sku_id, 'c')] },
        { kind: 'hold', order_id: 'cart', attempt: 1, lines: [line(sku_id, 'd', 6)] },
        { kind: 'settle', order_id: 'cart', attempt: 1, verdict: 'committed', lines: [line(sku_id, 'd', 6)] },
        { kind: 'hold', order_id: 'cart', attempt: 1, lines: [line(sku_id, 'e', 7)] },
        { kind: 'settle', order_id: 'cart', attempt: 1, verdict: 'aborted', lines: [line(sku_id, 'e', 7)] },
        { kind: 'adjust', sku_id, adjustment_id: 'a', delta: -10, reason: 'lost' },
      ];
      if (isTogether) await apply(...steps);
      else for (const step of steps) await apply(step);
      rows.push(await rowsOf(sku_id));
    }
    expect(rows[1]).to.deep.equal(rows[0]);
  });

  it('cost no write for a SKU that is known to be sold out', async () => {
    const sku_id = await opened(0);
    expect((await apply(order('o', line(sku_id)))).map(wordOf)).to.deep.equal(['insufficient_stock']);
    proxy.watch(sku_id, null);
    const words = (await apply(...Array.from({ length: 50 }, (_, index) => order('o', line(sku_id, `${index}`))))).map(
      wordOf,
    );
    expect(new Set(words)).to.deep.equal(new Set(['insufficient_stock']));
    expect(proxy.statements.filter(isBatch)).to.deep.equal([]);
    expect(proxy.statements, 'reads').to.have.length(1);
  });

  it('are none of the shard whose slot was taken away, though its rows are there still', async () => {
    const sku_id = await opened();
    const side = await sideSession(SHARD);
    await side.query('DELETE FROM slot WHERE slot = ?', [slotOf(sku_id)]);
    try {
      expect((await apply(order('o', line(sku_id)))).map(wordOf)).to.deep.equal(['not_mine']);
      let good = await opened();
      while (slotOf(good) === slotOf(sku_id)) good = await opened();
      expect((await apply(order('o', line(sku_id)), order('o', line(good)))).map(wordOf)).to.deep.equal([
        'not_mine',
        'deducted',
      ]);
    } finally {
      await side.query('INSERT INTO slot (slot, epoch) VALUES (?, 1)', [slotOf(sku_id)]);
      await side.end();
    }
    expect(await left(sku_id)).to.equal(OPENED);
  });

  it('are served although a note of a hold is left over, and settling strikes it out', async () => {
    const [sku_id, good] = [await opened(), await opened()];
    const side = await sideSession(SHARD);
    const stray = async (order_detail_id: string): Promise<unknown> =>
      side.query(
        'INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) VALUES (?, ?, ?, 1)',
        [sku_id, order_detail_id, 'gone'].map((text) => Buffer.from(text)),
      );
    await stray('a');
    await stray('b');
    await side.end();
    const outcomes = await apply<Operation>(
      { kind: 'hold', order_id: 'cart', attempt: 1, lines: [line(sku_id, 'a')] },
      order('o', line(good)),
    );
    expect(outcomes.map(({ is }) => is)).to.deep.equal(['held', 'deducted']);
    await apply<Operation>({
      kind: 'settle',
      order_id: 'gone',
      attempt: 1,
      verdict: 'aborted',
      lines: [line(sku_id, 'a'), line(sku_id, 'b')],
    });
    expect(await rowsOf(sku_id)).to.deep.include({ cart_hold: ['a cart'] });
  });

  it('hear who holds what they lack, though another SKU is held by hundreds', async () => {
    // In the order in which they are read.
    const [crowded = '', other = ''] = [await opened(0), await opened(0)].sort();
    const side = await sideSession(SHARD);
    const hold = (sku_id: string, id: string): readonly unknown[] => [
      ...[sku_id, id, 'cart'].map((text) => Buffer.from(text)),
      1,
    ];
    const holds = [hold(other, 'a'), ...Array.from({ length: MANY }, (_, index) => hold(crowded, `${index}`))];
    await side.query('INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) VALUES ?', [holds]);
    await side.query('UPDATE stock SET held_amount = 1 WHERE sku_id IN (?)', [
      [crowded, other].map((sku_id) => Buffer.from(sku_id)),
    ]);
    try {
      const untilMs = deadline();
      const read = shards[SHARD]?.pool.lend(untilMs, (connection) =>
        readHolds({ rows: (sql, values) => connection.rows(sql, values, untilMs) }, [crowded, other, other]),
      );
      expect(new Set((await read)?.map(({ sku_id }) => sku_id))).to.deep.equal(new Set([crowded, other]));
      expect((await read)?.filter(({ sku_id }) => sku_id === other)).to.have.length(1);
      const words = (await apply(order('o', line(crowded, 'c')), order('o', line(other, 'o')))).map(wordOf);
      expect(words).to.deep.equal(['pending', 'pending']);
    } finally {
      for (const table of ['cart_hold', 'stock'])
        await side.query(`DELETE FROM ${table} WHERE sku_id IN (?)`, [
          [crowded, other].map((sku_id) => Buffer.from(sku_id)),
        ]);
      await side.end();
    }
  });

  it('note the hold of the next attempt beside the undoing of the one before it', async () => {
    const sku_id = await opened();
    const hold = (attempt: number): Operation => ({
      kind: 'hold',
      order_id: 'cart',
      attempt,
      lines: [line(sku_id, 'a', 2)],
    });
    await apply(hold(1));
    const undoing: Operation = {
      kind: 'settle',
      order_id: 'cart',
      attempt: 1,
      verdict: 'aborted',
      lines: [line(sku_id, 'a', 2)],
    };
    expect((await apply(undoing, hold(2))).map(({ is }) => is)).to.deep.equal(['applied', 'held']);
    expect(await rowsOf(sku_id)).to.deep.include({ stock: ['98 2'], cart_hold: ['a cart'] });
    await apply<Operation>({
      kind: 'settle',
      order_id: 'cart',
      attempt: 2,
      verdict: 'committed',
      lines: [line(sku_id, 'a', 2)],
    });
    expect(await rowsOf(sku_id)).to.deep.include({ stock: ['98 0'], cart_hold: [] });
  });

  it('find a locked id though the stock row of another is locked too, or is not there', async () => {
    const [sku_id, busy, good] = [await opened(), await opened(), await opened()];
    const nobody = skuOn(SHARD, fresh('nobody'));
    const side = await sideSession(SHARD);
    await side.beginTransaction();
    await side.query(
      'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
      [sku_id, 'kept', 'o'].map((text) => Buffer.from(text)),
    );
    await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(busy)]);
    const words = (
      await apply(
        order('o', line(sku_id, 'kept')),
        order('o', line(busy)),
        order('o', line(nobody)),
        order('o', line(good)),
        order('o', line(sku_id, 'free')),
      )
    ).map(wordOf);
    await side.rollback();
    await side.end();
    expect(words).to.deep.equal(['not_done', 'not_done', 'unknown_sku', 'deducted', 'deducted']);
  });

  it('are refused what somebody else has sold meanwhile, and nothing of it stands', async () => {
    const [sku_id, good] = [await opened(1), await opened()];
    expect((await apply(order('o', line(sku_id, 'large', 2)))).map(wordOf)).to.deep.equal(['insufficient_stock']);
    const others = openShards(stack());
    try {
      const [sold] = await ENGINE_OF.textbook(others).apply(SHARD, [order('other', line(sku_id, 'other'))], deadline());
      expect(wordOf(sold)).to.equal('deducted');
    } finally {
      for (const { pool } of others) pool.close();
    }
    // Guessed by what was left when it was looked at.
    expect((await apply(order('o', line(sku_id, 'late')))).map(wordOf)).to.deep.equal(['insufficient_stock']);
    expect((await apply(order('o', line(good)))).map(wordOf)).to.deep.equal(['deducted']);
    const found = await reader.findFlows(SHARD, [line(sku_id, 'late')], deadline());
    expect(found).to.deep.equal({ is: 'found', flows: [null] });
    expect(await left(sku_id)).to.equal(0);
  });

  it('go on being sold of a SKU of which somebody keeps one id locked', async () => {
    const sku_id = await opened();
    const side = await sideSession(SHARD);
    await side.beginTransaction();
    await side.query(
      'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
      [sku_id, 'kept', 'o'].map((text) => Buffer.from(text)),
    );
    const words = await Promise.all(
      ['1', 'kept', '2', '3'].map(async (id) => (await apply(order('o', line(sku_id, id)))).map(wordOf)[0]),
    );
    await side.rollback();
    await side.end();
    expect(words).to.deep.equal(['deducted', 'not_done', 'deducted', 'deducted']);
  });

  it('do not wait again for a row that is known to be locked, because somebody has read it', async () => {
    const [locked, good] = [await opened(), await opened()];
    const old = order('o', line(locked, 'old'));
    await apply(old);
    const side = await sideSession(SHARD);
    await side.beginTransaction();
    await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(locked)]);
    expect((await apply(order('o', line(locked, 'new')))).map(wordOf)).to.deep.equal(['not_done']);
    expect((await apply(old)).map(wordOf)).to.deep.equal(['deducted']);
    const waits = apply(order('o', line(locked, 'new')));
    const order_id = 'beside';
    expect(
      await Promise.race([
        apply(order(order_id, line(good))).then(([outcome]) => wordOf(outcome)),
        waits.then(() => 'it waited too'),
      ]),
    ).to.equal('deducted');
    await side.rollback();
    await side.end();
    await waits;
  });

  it('are answered though one of them cannot be decided', async () => {
    const [broken, good] = [await opened(), await opened()];
    expect((await apply(order('o', line(broken, 'sold')))).map(wordOf)).to.deep.equal(['deducted']);
    const side = await sideSession(SHARD);
    await side.query('DELETE FROM stock WHERE sku_id = ?', [Buffer.from(broken)]);
    const ended = await Promise.allSettled(
      [{ kind: 'return', return_id: 'r', ...line(broken, 'sold') } as const, order('o', line(good))].map((operation) =>
        apply(operation),
      ),
    );
    await side.query('DELETE FROM flow WHERE sku_id = ?', [Buffer.from(broken)]);
    await side.end();
    expect(ended.map(({ status }) => status)).to.deep.equal(['rejected', 'fulfilled']);
  });

  async function rowsOf(sku_id: string): Promise<unknown> {
    const session = await sideSession(SHARD);
    const bytes = Buffer.from(sku_id);
    const read = async (columns: string, table: string): Promise<unknown> =>
      (
        await session.query<RowDataPacket[]>(`SELECT ${columns} FROM ${table} WHERE sku_id = ? ORDER BY 1, 2`, [bytes])
      )[0].map((row) => Object.values(row).map(String).join(' '));
    const rows = {
      stock: await read('leaved_amount, held_amount', 'stock'),
      flow: await read('order_detail_id, order_id, quantity, returned, attempt, status', 'flow'),
      flow_return: await read('order_detail_id, return_id, quantity', 'flow_return'),
      cart_hold: await read('order_detail_id, order_id', 'cart_hold'),
      adjustment: await read('adjustment_id, delta, reason', 'adjustment'),
    };
    await session.end();
    return rows;
  }
});
