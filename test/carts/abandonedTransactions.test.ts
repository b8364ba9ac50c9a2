import { expect } from 'chai';
import { OrderRecordStore } from '../../src/mysql/carts/orderRecordStore.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { age, cartRows, linesOf } from '../support/carts/cartRows.ts';
import { openShards } from '../support/engines/engines.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { CUTS, startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

const PARTICIPANT = 3;
const COORDINATOR = 9;
const OPENED = 5;
const REQUEST_MS = 5_000;
const STATEMENT_MS = 300;
const HOUR_MS = 3_600_000;
const MINUTES_KEPT = 2;
/** On a machine that is too busy, a deletion may be rejected before its COMMIT. */
const TRIES = 20;

describe('a transaction over several servers whose coordinator is gone', () => {
  let bench: CartBench;
  before(() => {
    bench = openCartBench(undefined, 'batching');
  });
  after(() => bench.close());

  /** Holds a line for a transaction that seems to have begun this much earlier. */
  async function hold(earlierMs: number): Promise<string> {
    const order_id = fresh('abandoned');
    const sku_id = skuOn(PARTICIPANT, order_id);
    await bench.open(sku_id, OPENED);
    const began = (Date.now() - earlierMs).toString(16).padStart(12, '0');
    const { transaction_id } = bench.parts.records.begin(COORDINATOR);
    const transaction = { transaction_id: began + transaction_id.slice(12), coordinator: COORDINATOR };
    const lines = linesOf([sku_id], order_id);
    const held = await bench.apply({ kind: 'hold', order_id, attempt: 0, transaction, lines });
    expect(held.is).to.equal('held');
    await age({ order_ids: [], sku_ids: [sku_id] });
    return sku_id;
  }
  const isUndone = async (sku_id: string): Promise<boolean> => {
    const faults: unknown[] = [];
    await bench.sweeper({ faults }).sweep();
    expect(faults).to.deep.equal([]);
    const { flows, stock, holds } = await cartRows([sku_id]);
    return flows.size === 0 && holds === 0 && stock.get(sku_id)?.leaved === OPENED;
  };

  it('is aborted when it is old', async () => {
    expect(await isUndone(await hold(10_000))).to.equal(true);
  });

  it('stays open while its coordinator may still decide it', async () => {
    expect(await isUndone(await hold(0))).to.equal(false);
  });

  it('is aborted when it seems to begin in the future, because a clock was ahead or set back', async () => {
    expect(await isUndone(await hold(-HOUR_MS))).to.equal(true);
  });
});

describe('the deletion of aborted records', () => {
  let proxy: WireProxy;
  let shards: readonly Shard[];
  let records: OrderRecordStore;
  before(async () => {
    proxy = await startWireProxy(addressOf(COORDINATOR));
    const through = stack().shards.map((shard, index) =>
      index === COORDINATOR ? { ...shard, address: { ...shard.address, port: proxy.port } } : shard,
    );
    shards = openShards({ ...stack(), shards: through }, STATEMENT_MS);
    records = new OrderRecordStore(shards);
  });
  after(async () => {
    for (const { pool } of shards) pool.close();
    await proxy.close();
  });

  async function addOldRecord(): Promise<Buffer> {
    const id = Buffer.from(records.begin(COORDINATOR).transaction_id, 'hex');
    const session = await sideSession(COORDINATOR);
    await session.query(
      "INSERT INTO order_record (transaction_id, state, order_id, order_lines) VALUES (?, 'aborted', 'o', '[]')",
      [id],
    );
    await session.query(
      'INSERT INTO aborted_record (transaction_id, created_at) VALUES (?, CURRENT_TIMESTAMP(6) - INTERVAL ? MINUTE)',
      [id, MINUTES_KEPT],
    );
    await session.end();
    return id;
  }
  const exists = async (id: Buffer): Promise<boolean> => {
    const session = await sideSession(COORDINATOR);
    const [rows] = await session.query('SELECT 1 FROM order_record WHERE transaction_id = ?', [id]);
    await session.end();
    return (rows as unknown[]).length > 0;
  };
  const deleteOnce = async (): Promise<string> =>
    (await records.deleteAborted(COORDINATOR, 1_000, performance.now() + REQUEST_MS)).is;

  for (const cut of CUTS) {
    it(`is left to the next round when its COMMIT is cut: ${cut}`, async () => {
      const id = await addOldRecord();
      const before = proxy.cutsDone;
      proxy.arm(cut);
      for (let tries = 1; ; tries += 1) {
        const ended = await deleteOnce();
        if (proxy.cutsDone > before) {
          expect(ended).to.equal('not_done');
          break;
        }
        expect(tries, ended).to.be.below(TRIES);
      }
      for (let tries = 1; (await deleteOnce()) !== 'deleted'; tries += 1) expect(tries).to.be.below(TRIES);
      expect(await exists(id)).to.equal(false);
    });
  }
});
