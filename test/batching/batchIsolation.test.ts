import { expect } from 'chai';
import type { Deduct, Operation } from '../../src/core/operation.ts';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import { slotOf } from '../../src/core/slots.ts';
import { readHolds } from '../../src/mysql/sql/flows/holds.ts';
import {
  insertHoldRows,
  lockId,
  lockStockRow,
  makeCompletion,
  makeHold,
  makeLine as line,
  makeOrder as order,
  openBatchBench,
  skuRows,
  SHARD,
  outcomeNameOf,
} from '../support/engines/batchBench.ts';
import type { BatchBench } from '../support/engines/batchBench.ts';
import { ENGINE_OF, isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { isBatch } from '../support/wire/packets.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const REQUEST_MS = 3_000;
const OPENED = 100;
/** More lines than one batch carries. */
const MANY = 600;

/** The operations of one batch do not influence each other. */
describe('operations of one batch', () => {
  let bench: BatchBench;
  before(async () => {
    bench = await openBatchBench();
  });
  after(() => bench.close());
  afterEach(() => eventually('no work is left on the shard', 3_000, () => isQuiet(bench.shards[SHARD])));

  const deadline = (): number => performance.now() + REQUEST_MS;
  const apply = <O extends Operation>(...operations: O[]) => bench.engine.apply(SHARD, operations, deadline());
  const wordsOf = async (...orders: Deduct[]): Promise<string[]> => (await apply(...orders)).map(outcomeNameOf);
  const opened = async (leaved_amount = OPENED): Promise<string> => {
    const sku_id = skuOn(SHARD, fresh('neighbour'));
    await apply({ kind: 'open', sku_id, leaved_amount });
    return sku_id;
  };
  const left = async (sku_id: string): Promise<number | undefined> => {
    const stock = await bench.reader.readStock(SHARD, sku_id, deadline());
    return stock.is === 'found' ? stock.rows[0]?.leaved_amount : undefined;
  };

  it('are answered independently: a bad one is refused and the others are applied', async () => {
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
      order('o', line(skuOn(SHARD, fresh('unopened')))),
      order('o', line(paused)),
      order('o', line(taken)),
      order('o', line(gone)),
      order('o', line(short, 'large', 3)),
      order('o', line(short, 'small', 2)),
      order('o', line(twice)),
      order('o', line(twice)),
    ];
    const words = await wordsOf(...operations);
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

  it('sell one id once, however often the batch contains it', async () => {
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

  it('do not refuse small orders behind one that is too large for the remaining stock', async () => {
    const sku_id = await opened(10);
    const sizes = [7, 11, 2, 8, 1];
    const words = await wordsOf(...sizes.map((size, index) => order('o', line(sku_id, `${index}`, size))));
    expect(words).to.deep.equal(['deducted', 'insufficient_stock', 'deducted', 'insufficient_stock', 'deducted']);
    expect(await left(sku_id)).to.equal(0);
  });

  it('may be more than one batch carries', async () => {
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

  it('leave the same rows as one after the other: sold, returned in part and cancelled together', async () => {
    const rows: unknown[] = [];
    for (const isTogether of [false, true]) {
      const sku_id = await opened();
      const steps: Operation[] = [
        order('o', line(sku_id, 'a', 5), line(sku_id, 'b', 4), line(sku_id, 'c', 3)),
        { kind: 'return', return_id: 'r', ...line(sku_id, 'a', 2) },
        { kind: 'return', return_id: 'r', ...line(sku_id, 'b', 1) },
        { kind: 'cancel', order_id: 'o', lines: [line(sku_id, 'b'), line(sku_id, 'c')] },
        makeHold(1, line(sku_id, 'd', 6)),
        makeCompletion(1, 'committed', [line(sku_id, 'd', 6)]),
        makeHold(1, line(sku_id, 'e', 7)),
        makeCompletion(1, 'aborted', [line(sku_id, 'e', 7)]),
        { kind: 'adjust', sku_id, adjustment_id: 'a', delta: -10, reason: 'lost' },
      ];
      const [completions, others] = [true, false].map((is) => steps.filter(({ kind }) => (kind === 'settle') === is));
      if (isTogether) for (const some of [others, completions]) await apply(...(some ?? []));
      else for (const step of steps) await apply(step);
      rows.push(await skuRows(sku_id));
    }
    expect(rows[1]).to.deep.equal(rows[0]);
  });

  it('write nothing for a SKU that is known to be sold out', async () => {
    const sku_id = await opened(0);
    expect(await wordsOf(order('o', line(sku_id)))).to.deep.equal(['insufficient_stock']);
    bench.proxy.watch(sku_id, null);
    const words = await wordsOf(...Array.from({ length: 50 }, (_, index) => order('o', line(sku_id, `${index}`))));
    expect(new Set(words)).to.deep.equal(new Set(['insufficient_stock']));
    expect(bench.proxy.statements.filter(isBatch)).to.deep.equal([]);
    expect(bench.proxy.statements, 'reads').to.have.length(1);
  });

  it('are rejected by a shard that no longer owns the slot, although the rows are still there', async () => {
    const sku_id = await opened();
    const side = await sideSession(SHARD);
    await side.query('DELETE FROM slot WHERE slot = ?', [slotOf(sku_id)]);
    try {
      expect(await wordsOf(order('o', line(sku_id)))).to.deep.equal(['not_mine']);
      let good = await opened();
      while (slotOf(good) === slotOf(sku_id)) good = await opened();
      expect(await wordsOf(order('o', line(sku_id)), order('o', line(good)))).to.deep.equal(['not_mine', 'deducted']);
    } finally {
      await side.query('INSERT INTO slot (slot, epoch) VALUES (?, 1)', [slotOf(sku_id)]);
      await side.end();
    }
    expect(await left(sku_id)).to.equal(OPENED);
  });

  it('are applied although a stale row of cart_hold remains, and completion deletes that row', async () => {
    const [sku_id, good] = [await opened(), await opened()];
    await insertHoldRows(['a', 'b'].map((id) => [sku_id, id, 'gone'] as const));
    const outcomes = await apply<Operation>(makeHold(1, line(sku_id, 'a')), order('o', line(good)));
    expect(outcomes.map(({ is }) => is)).to.deep.equal(['held', 'deducted']);
    await apply<Operation>(makeCompletion(1, 'aborted', [line(sku_id, 'a'), line(sku_id, 'b')], 'gone'));
    expect(await skuRows(sku_id)).to.deep.include({ cart_hold: ['a cart'] });
  });

  it('find the holds of the units that they need, although another SKU has hundreds of holds', async () => {
    // Sorted, because the SKUs are read in this order.
    const [crowded = '', other = ''] = [await opened(0), await opened(0)].sort();
    const crowd = Array.from({ length: MANY }, (_, index) => [crowded, `${index}`, 'cart'] as const);
    await insertHoldRows([[other, 'a', 'cart'], ...crowd]);
    const side = await sideSession(SHARD);
    const skus = [crowded, other].map((sku_id) => Buffer.from(sku_id));
    await side.query('UPDATE stock SET held_amount = 1 WHERE sku_id IN (?)', [skus]);
    try {
      const untilMs = deadline();
      const read = bench.shards[SHARD]?.pool.lend(untilMs, (connection) =>
        readHolds({ rows: (sql, values) => connection.rows(sql, values, untilMs) }, [crowded, other, other]),
      );
      expect(new Set((await read)?.map(({ sku_id }) => sku_id))).to.deep.equal(new Set([crowded, other]));
      expect((await read)?.filter(({ sku_id }) => sku_id === other)).to.have.length(1);
      const words = await wordsOf(order('o', line(crowded, 'c')), order('o', line(other, 'o')));
      expect(words).to.deep.equal(['pending', 'pending']);
    } finally {
      for (const table of ['cart_hold', 'stock']) await side.query(`DELETE FROM ${table} WHERE sku_id IN (?)`, [skus]);
      await side.end();
    }
  });

  it('record the hold of the next attempt while the batch undoes the one before it', async () => {
    const sku_id = await opened();
    const lines = [line(sku_id, 'a', 2)];
    await apply(makeHold(1, ...lines));
    const outcomes = await apply<Operation>(makeCompletion(1, 'aborted', lines), makeHold(2, ...lines));
    expect(outcomes.map(({ is }) => is)).to.deep.equal(['applied', 'held']);
    expect(await skuRows(sku_id)).to.deep.include({ stock: ['98 2'], cart_hold: ['a cart'] });
    await apply(makeCompletion(2, 'committed', lines));
    expect(await skuRows(sku_id)).to.deep.include({ stock: ['98 0'], cart_hold: [] });
  });

  it('find a locked id although the stock row of another SKU is locked too, or is missing', async () => {
    const [sku_id, busy, good] = [await opened(), await opened(), await opened()];
    const unopened = skuOn(SHARD, fresh('unopened'));
    const releases = [await lockId(sku_id, 'kept'), await lockStockRow(busy)];
    const words = await wordsOf(
      order('o', line(sku_id, 'kept')),
      order('o', line(busy)),
      order('o', line(unopened)),
      order('o', line(good)),
      order('o', line(sku_id, 'free')),
    );
    for (const release of releases) await release();
    expect(words).to.deep.equal(['not_done', 'not_done', 'unknown_sku', 'deducted', 'deducted']);
  });

  it('are refused units that another engine has sold meanwhile, and leave no flow', async () => {
    const [sku_id, good] = [await opened(1), await opened()];
    expect(await wordsOf(order('o', line(sku_id, 'large', 2)))).to.deep.equal(['insufficient_stock']);
    const others = openShards(stack());
    try {
      const [sold] = await ENGINE_OF.textbook(others).apply(SHARD, [order('other', line(sku_id, 'other'))], deadline());
      expect(outcomeNameOf(sold)).to.equal('deducted');
    } finally {
      for (const { pool } of others) pool.close();
    }
    // The batch is built on the units left at the last read.
    expect(await wordsOf(order('o', line(sku_id, 'late')))).to.deep.equal(['insufficient_stock']);
    expect(await wordsOf(order('o', line(good)))).to.deep.equal(['deducted']);
    const found = await bench.reader.findFlows(SHARD, [line(sku_id, 'late')], deadline());
    expect(found).to.deep.equal({ is: 'found', flows: [null] });
    expect(await left(sku_id)).to.equal(0);
  });

  it('are sold although another session keeps one id of the SKU locked', async () => {
    const sku_id = await opened();
    const release = await lockId(sku_id, 'kept');
    const words = await Promise.all(
      ['1', 'kept', '2', '3'].map(async (id) => (await wordsOf(order('o', line(sku_id, id))))[0]),
    );
    await release();
    expect(words).to.deep.equal(['deducted', 'not_done', 'deducted', 'deducted']);
  });

  it('do not wait again for a row that is known to be locked after another operation has read it', async () => {
    const [locked, good] = [await opened(), await opened()];
    const old = order('o', line(locked, 'old'));
    await apply(old);
    const release = await lockStockRow(locked);
    expect(await wordsOf(order('o', line(locked, 'new')))).to.deep.equal(['not_done']);
    expect(await wordsOf(old)).to.deep.equal(['deducted']);
    const waits = apply(order('o', line(locked, 'new')));
    const order_id = 'beside';
    expect(
      await Promise.race([
        apply(order(order_id, line(good))).then(([outcome]) => outcomeNameOf(outcome)),
        waits.then(() => 'the other order waited too'),
      ]),
    ).to.equal('deducted');
    await release();
    await waits;
  });

  it('are answered although one of them fails', async () => {
    const [broken, good] = [await opened(), await opened()];
    expect(await wordsOf(order('o', line(broken, 'sold')))).to.deep.equal(['deducted']);
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
});
