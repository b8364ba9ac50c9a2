import { expect } from 'chai';
import type { Operation } from '../../src/core/operation.ts';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import { BatchingEngine } from '../../src/mysql/batching/batchingEngine.ts';
import { CartStore } from '../../src/mysql/carts/cartStore.ts';
import { OrderRecordStore } from '../../src/mysql/carts/orderRecordStore.ts';
import { HotRowStore } from '../../src/mysql/hot/hotRowStore.ts';
import { LayoutStore } from '../../src/mysql/hot/layoutStore.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { ShardStockReader } from '../../src/mysql/stock/shardStockReader.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';

/** For a busy machine. */
const SOON_MS = 10_000;
const WAIT_MS = 2_000;
const SKU = 'stocked';
const SOLD = { sku_id: SKU, order_detail_id: 'sold' };
const CART = { order_id: 'cart', attempt: 1 };
const TRANSACTION = { transaction_id: '0'.repeat(32), coordinator: 0 };

type Read = (deadlineMs: number) => Promise<unknown>;

describe('a server that has just become read-only', () => {
  let own: OwnShards;
  let shards: Shard[];
  const shard = (): Shard => shards[0] ?? expect.fail('there is a shard');
  const readOnly = (value: 0 | 1): Promise<unknown> => own.query(0, `SET GLOBAL read_only = ${value}`);
  const isServing = (): boolean => shard().state().state === 'serving';

  before(async () => {
    own = await ownShards({ count: 1, migrated: true });
    shards = openShards({ shards: await own.load(), initialShards: 1 });
    await Promise.all(shards.map(({ tried }) => tried));
    const engine = new TextbookEngine(shards);
    await engine.apply(0, [{ kind: 'open', sku_id: SKU, leaved_amount: 3 }], performance.now() + WAIT_MS);
    await engine.apply(
      0,
      [{ kind: 'deduct', order_id: 'order', lines: [{ ...SOLD, quantity: 1 }] }],
      performance.now() + WAIT_MS,
    );
  });
  after(async () => {
    await readOnly(0);
    for (const { pool } of shards) pool.close();
    await own.drop();
  });

  const engines = { batching: () => new BatchingEngine(shards), textbook: () => new TextbookEngine(shards) };
  const applied = (name: string, operation: Operation): Readonly<Record<string, Read>> =>
    Object.fromEntries(
      Object.entries(engines).map(([engine, engineOf]) => [
        `${name}, ${engine}`,
        async (deadlineMs: number) => (await engineOf().apply(0, [operation], deadlineMs))[0],
      ]),
    );
  const line = (sku_id: string, order_detail_id: string, quantity: number) => ({
    kind: 'deduct' as const,
    order_id: 'order',
    lines: [{ sku_id, order_detail_id, quantity }],
  });

  /** Every read that decides an operation, or that is answered as the state of the primary. */
  const READS: Readonly<Record<string, Read>> = {
    ...applied('a replay', line(SKU, SOLD.order_detail_id, 1)),
    ...applied('a refusal', line(SKU, 'large', 9)),
    ...applied('an unknown SKU', line('unheard of', 'x', 1)),
    ...applied('a return of nothing', {
      kind: 'return',
      sku_id: SKU,
      order_detail_id: 'never',
      return_id: 'r',
      quantity: 1,
    }),
    'a look-up that finds': (deadlineMs) => new ShardReader(shards).findFlows(0, [SOLD], deadlineMs),
    'a look-up that finds nothing': (deadlineMs) =>
      new ShardReader(shards).findFlows(0, [{ ...SOLD, order_detail_id: 'never' }], deadlineMs),
    'an amount': (deadlineMs) => new ShardReader(shards).readStock(0, SKU, deadlineMs),
    'a journal': (deadlineMs) =>
      new ShardReader(shards).readJournal(
        0,
        { sku_id: SKU, after: null, limit: 10, holdsAfter: '', holdsMax: 10, isAnyShard: false },
        deadlineMs,
      ),
    slots: async (deadlineMs) => (await new ShardReader(shards).readSlots(0, deadlineMs)) ?? { is: 'not_done' },
    balances: (deadlineMs) => new ShardReader(shards).readBalances(0, deadlineMs),
    'an audit': (deadlineMs) => new ShardAuditor(shards).audit(0, null, deadlineMs),
    'the decision of a cart': (deadlineMs) => new CartStore(shards).resolve(0, CART, deadlineMs),
    'the decision of a transaction': (deadlineMs) =>
      new OrderRecordStore(shards).resolve(TRANSACTION, 'order', deadlineMs),
    'holds and open carts': (deadlineMs) => new CartStore(shards).findUnfinished(0, 10, deadlineMs),
    'a layout': (deadlineMs) => new LayoutStore(shards).read(0, SKU, deadlineMs),
    'rows of a split SKU': (deadlineMs) => new HotRowStore(shards).readRows(0, SKU, deadlineMs),
    'whether it is on sale': (deadlineMs) => new HotRowStore(shards).readSale(0, SKU, deadlineMs),
    'holds of a SKU': (deadlineMs) => new HotRowStore(shards).readHolds(0, SKU, deadlineMs),
    'ids of earlier layouts': (deadlineMs) => new HotRowStore(shards).findExisting(0, [SOLD], deadlineMs),
    'a page of ids': (deadlineMs) => new HotRowStore(shards).readIds(0, SKU, '', 10, deadlineMs),
    'unfinished layouts': (deadlineMs) => new HotRowStore(shards).findUnfinished(0, 10, deadlineMs),
    'a cached stock reading': (deadlineMs) => new ShardStockReader(shards).readRows(0, [SKU], false, deadlineMs),
    'a cached stock reading that refuses': (deadlineMs) =>
      new ShardStockReader(shards).readRows(0, [SKU], true, deadlineMs),
    'ids of a sold-out SKU': (deadlineMs) => new ShardStockReader(shards).readIds(0, SKU, '', 10, deadlineMs),
  };

  for (const [name, read] of Object.entries(READS)) {
    it(`gives no answer: ${name}`, async () => {
      const ask = async (): Promise<unknown> =>
        (await read(performance.now() + WAIT_MS).catch((error: Error) => ({
          is: 'not_done',
          reason: error.message,
        }))) ?? { is: 'nothing' };
      await eventually('it is served', SOON_MS, isServing);
      expect(await ask()).not.to.have.property('is', 'not_done');
      await readOnly(1);
      try {
        // Immediately: the next check of the shard would mark it as not served.
        expect(await ask()).to.have.property('is', 'not_done');
      } finally {
        await readOnly(0);
      }
    });
  }

  it('rejects a batch that needs no read, even from an account that may write', async () => {
    await eventually('it is served', SOON_MS, isServing);
    const engine = new BatchingEngine(shards);
    const order = (order_detail_id: string, quantity: number) => line(SKU, order_detail_id, quantity);
    const apply = async (operation: Operation) => (await engine.apply(0, [operation], performance.now() + WAIT_MS))[0];
    // A refusal reads the SKU, so the next order is written without a read.
    expect(await apply(order('too large', 9))).to.have.property('is', 'refused');
    await readOnly(1);
    expect(await apply(order('guessed', 1))).to.have.property('is', 'not_done');
    await readOnly(0);
    await eventually('it is served', SOON_MS, isServing);
    const rows = await own.query(0, "SELECT 1 FROM flow WHERE order_detail_id = 'guessed'");
    expect(rows).to.have.length(0);
  });

  it('loses all its connections when the first answer is discarded', async () => {
    await eventually('it is served', SOON_MS, isServing);
    const reader = new ShardReader(shards);
    await Promise.all(Array.from({ length: 20 }, () => reader.readStock(0, SKU, performance.now() + WAIT_MS)));
    expect(shard().pool.state().open).to.be.above(1);
    await readOnly(1);
    await reader.readStock(0, SKU, performance.now() + WAIT_MS);
    expect(shard().pool.state().open).to.equal(0);
    await readOnly(0);
    await eventually('it is served', SOON_MS, isServing);
  });

  it('is read by commands that accept read-only servers', async () => {
    const [options] = await own.load();
    if (options === undefined) throw new Error('there is a shard');
    await readOnly(1);
    const atRest = openShards({ shards: [options], initialShards: 1 }, 1_000, { readOnlyAllowed: true });
    try {
      await Promise.all(atRest.map(({ tried }) => tried));
      expect(await new ShardReader(atRest).readBalances(0, performance.now() + WAIT_MS)).to.have.length(1);
      expect(atRest[0]?.state().state).to.equal('serving');
    } finally {
      for (const { pool } of atRest) pool.close();
      await readOnly(0);
    }
  });
});
