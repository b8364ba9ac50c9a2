import { expect } from 'chai';
import type { Connection as SideConnection } from 'mysql2/promise';
import { unsplitLayout } from '../../src/core/hot/layout.ts';
import type { Layout } from '../../src/core/hot/layout.ts';
import type { StockRowsReader } from '../../src/core/ports/stockRowsReader.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardStockReader } from '../../src/mysql/stock/shardStockReader.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { LayoutStore } from '../../src/mysql/hot/layoutStore.ts';
import { LayoutCache } from '../../src/service/routing/layoutCache.ts';
import { PrimaryReadings } from '../../src/service/precheck/primaryReadings.ts';
import { Routing } from '../../src/service/routing/routing.ts';
import { openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';

/** Long, because these tests are about the content of a reading, not about its speed. */
const WAIT_MS = 10_000;

describe('a stock reading from the primaries', () => {
  let shards: readonly Shard[];
  let readings: PrimaryReadings;
  let side: SideConnection;
  let sku_id: string;
  const map = new SlotMap(16);

  const readingsOf = (of: readonly Shard[]): PrimaryReadings => {
    const routing = new Routing(map, new ShardReader(of), 16);
    // The delay of new units in an empty row is turned on elsewhere; here it counts as on.
    const stockReader = new (class extends ShardStockReader {
      override isReady(): boolean {
        return true;
      }
    })(of);
    return new PrimaryReadings({ stockReader, routing, layouts: new LayoutCache(new LayoutStore(of), routing) }, true);
  };

  before(() => {
    shards = openShards(stack(), WAIT_MS);
    readings = readingsOf(shards);
  });

  beforeEach(async () => {
    sku_id = fresh('seen');
    side = await sideSession(map.shardOf(sku_id));
    await side.query('INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES (?, 0, 3, 0)', [
      Buffer.from(sku_id),
    ]);
  });

  afterEach(() => side.end());
  after(() => shards.forEach(({ pool }) => pool.close()));

  const look = async () => (await readings.read([sku_id], performance.now() + WAIT_MS))[0] ?? null;
  const change = (what: string) =>
    side.query(`UPDATE stock SET ${what}, version = version + 1 WHERE sku_id = ?`, [Buffer.from(sku_id)]);

  it('is empty when no units are left, and has the time of its request', async () => {
    const before = performance.now();
    const seen = await look();
    expect(seen).to.include({ leaved_amount: 0, isEmpty: true, mode: 'single' });
    expect(seen?.asOfMs).to.be.within(before, performance.now());
  });

  it('is returned while a gateway still connects, before it has identified the server', async () => {
    const others = openShards(stack(), WAIT_MS);
    try {
      const [seen] = await readingsOf(others).read([sku_id], performance.now() + WAIT_MS);
      expect(seen).to.include({ leaved_amount: 0, isEmpty: true });
    } finally {
      for (const { pool } of others) pool.close();
    }
  });

  it('is not empty while units are left or held, and its version rises', async () => {
    const first = await look();
    await change('leaved_amount = leaved_amount + 2');
    const second = await look();
    expect(second).to.include({ leaved_amount: 2, isEmpty: false });
    expect(second?.version).to.be.above(first?.version ?? Infinity);
    await change('leaved_amount = leaved_amount - 2, held_amount = held_amount + 2');
    expect(await look()).to.include({ leaved_amount: 0, isEmpty: false });
  });

  it('is not empty while units are added in an open transaction, and does not wait for it', async () => {
    await side.beginTransaction();
    await change('leaved_amount = leaved_amount + 1');
    expect(await look()).to.include({ leaved_amount: 0, isEmpty: false });
    await side.rollback();
    expect(await look()).to.include({ isEmpty: true });
  });

  it('is not empty while a transfer of the SKU is open', async () => {
    await side.query(
      `INSERT INTO transfer
       (sku_id, transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open)
       VALUES (?, REPEAT('t', 16), 'out', 0, 1, 1, 1, 1)`,
      [Buffer.from(sku_id)],
    );
    expect(await look()).to.include({ leaved_amount: 0, isEmpty: false });
  });

  it('has no amount for an unknown SKU, and is null where the shard does not own the SKU', async () => {
    const [unknown] = await readings.read([fresh('unknown')], performance.now() + WAIT_MS);
    expect(unknown).to.include({ leaved_amount: null, isEmpty: false, version: 0 });
    const [slots] = (await side.query('SELECT slot, epoch FROM slot')) as unknown as [
      { slot: number; epoch: number }[],
    ];
    await side.query('DELETE FROM slot');
    try {
      expect(await look()).to.equal(null);
    } finally {
      await side.query('INSERT INTO slot (slot, epoch) VALUES ?', [slots.map(({ slot, epoch }) => [slot, epoch])]);
    }
  });

  it('shows several rows as empty only after two equal reads, because units may move in between', async () => {
    const layout: Layout = {
      ...unsplitLayout('s', 0),
      state: 'open',
      epoch: 1,
      placement: [0, 1],
      shards: [0, 1],
      revision: 4,
    };
    const rows = [
      { leaved_amount: 0, version: 1 },
      { leaved_amount: 3, version: 1 },
    ];
    let reads = 0;
    const stockReader: StockRowsReader = {
      isReady: () => true,
      readIds: () => Promise.reject(new Error('this test reads no ids')),
      readRows: (shard) => {
        reads += 1;
        const { leaved_amount = 0, version = 0 } = rows[shard] ?? {};
        const look = {
          sku_id: 's',
          rows: [{ sub_row: shard, leaved_amount, held_amount: 0, version }],
          isOwner: shard === 0,
          hasLayout: shard === 0,
          hasOpenTransfers: false,
          isCertain: true,
        };
        // After the first row was read, the units of the second row move to it, and both rows record that.
        if (reads === 2)
          [rows[0], rows[1]] = [
            { leaved_amount: 3, version: 2 },
            { leaved_amount: 0, version: 2 },
          ];
        return Promise.resolve([
          shard === 1 && reads > 2
            ? { ...look, rows: [{ sub_row: 1, leaved_amount: 0, held_amount: 0, version: 2 }] }
            : look,
        ]);
      },
    };
    const layouts = { load: () => Promise.resolve({ is: 'layout' as const, layout }) } as unknown as LayoutCache;
    const routing = { map: { shardOf: () => 0 }, refresh: () => Promise.resolve() } as unknown as Routing;
    const split = new PrimaryReadings({ stockReader, routing, layouts }, true);
    expect((await split.read(['s'], performance.now() + 1_000))[0]).to.include({ isEmpty: false });
    [rows[0], rows[1]] = [
      { leaved_amount: 0, version: 3 },
      { leaved_amount: 0, version: 2 },
    ];
    expect((await split.read(['s'], performance.now() + 1_000))[0]).to.include({
      isEmpty: true,
      version: 5,
      mode: 'hot',
    });
  });

  it('is returned for many SKUs at once, in the order of the request', async () => {
    const requested = [sku_id, fresh('none'), sku_id];
    const found = await readings.read(requested, performance.now() + WAIT_MS);
    expect(found.map((reading) => reading?.sku_id)).to.deep.equal(requested);
    expect(stack().shards).to.have.length(16);
  });
});
