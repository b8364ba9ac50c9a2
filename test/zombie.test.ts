import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Line } from '../src/core/nouns.ts';
import type { Operation } from '../src/core/operation.ts';
import type { DeductOutcome } from '../src/core/outcome.ts';
import type { StockEngine } from '../src/core/ports.ts';
import type { Shard } from '../src/mysql/shard.ts';
import { ShardReader } from '../src/mysql/shardReader.ts';
import { ENGINE_OF, isQuiet, openShards } from './support/engines.ts';
import { eventually } from './support/eventually.ts';
import { fresh } from './support/gateway.ts';
import { startPacketProxy } from './support/packetProxy.ts';
import type { PacketProxy, Strike } from './support/packetProxy.ts';
import { isBatch } from './support/packets.ts';
import { stack } from './support/setup.ts';
import { addressOf, sideSession } from './support/sideSession.ts';
import { skuOn } from './support/traffic.ts';
import { startWireProxy } from './support/wireProxy.ts';
import type { WireProxy } from './support/wireProxy.ts';

const SHARD = 4;
const REQUEST_MS = 3_000;
/** Enough for work to be begun, and less than a wait for a lock. */
const SHORT_MS = 700;
/** Beyond the time for which a batch may still be taken by its shard. */
const DEAD_MS = 2_500;
/** Less than a session may be silent, or that alone would be its end. */
const HELD_MS = 1_700;
/** For what was let go to do what it can. */
const SETTLED_MS = 300;
/** The wait for a lock ends after a second; a machine that is too busy comes too late to see what goes on after it. */
const LOCK_WAIT_MS = 1_000;
const TRIES = 8;
/** Busy machines meet the moment only now and then. */
const CAME = 3;

/** A batch that comes late, when its gateway has long given it up, changes nothing: what was said of it meanwhile stays true. */
describe('a batch that comes after its time', () => {
  const opened: Shard[] = [];
  let packets: PacketProxy;
  let wire: WireProxy;
  let behindPackets: StockEngine;
  let behindWire: StockEngine;
  let direct: StockEngine;
  let reader: ShardReader;
  let sku_id: string;

  before(async () => {
    packets = await startPacketProxy(addressOf(SHARD));
    wire = await startWireProxy(addressOf(SHARD));
    behindPackets = ENGINE_OF.batching(openAt(packets.port));
    behindWire = ENGINE_OF.batching(openAt(wire.port));
    const own = openAt(addressOf(SHARD).port);
    direct = ENGINE_OF.batching(own);
    reader = new ShardReader(own);
    await Promise.all(opened.map(({ tried }) => tried));
  });
  after(async () => {
    await eventually('places come back', 5_000, () => opened.every(isQuiet));
    for (const { pool } of opened) pool.close();
    await packets.close();
    await wire.close();
  });
  beforeEach(async () => {
    sku_id = skuOn(SHARD, fresh('zombie'));
    await apply(direct, { kind: 'open', sku_id, leaved_amount: 1 });
    // Who has looked at a SKU once sends the next order for it in one packet.
    const tooLarge = { kind: 'deduct', order_id: 'o', lines: [{ ...line('too large'), quantity: 2 }] } as const;
    for (const by of [behindPackets, behindWire, direct]) expect((await apply(by, tooLarge)).is).to.equal('refused');
  });

  function openAt(port: number): Shard[] {
    const own = openShards({ ...stack(), shards: stack().shards.map((shard, index) => (index === SHARD ? { ...shard, address: { ...shard.address, port } } : shard)) });
    opened.push(...own);
    return own;
  }
  const apply = async (by: StockEngine, operation: Operation, waitMs = REQUEST_MS): Promise<DeductOutcome> => {
    const [outcome] = await by.apply(SHARD, [operation], performance.now() + waitMs);
    return outcome as DeductOutcome;
  };
  const line = (order_detail_id: string): Line => ({ sku_id, order_detail_id, quantity: 1 });
  const deduct = (by: StockEngine, order_detail_id: string, waitMs?: number): Promise<DeductOutcome> => apply(by, { kind: 'deduct', order_id: 'o', lines: [line(order_detail_id)] }, waitMs);
  const stands = async (order_detail_id: string): Promise<boolean> => {
    const found = await reader.findFlows(SHARD, [line(order_detail_id)], performance.now() + REQUEST_MS);
    if (found.is !== 'found') throw new Error(found.is);
    return found.flows[0] !== null;
  };
  const left = async (): Promise<unknown> => {
    const stock = await reader.readStock(SHARD, sku_id, performance.now() + REQUEST_MS);
    return stock.is === 'found' && stock.rows[0]?.leaved_amount;
  };

  /** Somebody else buys the last unit, the same ids are refused, and there are units again. */
  const refuseMeanwhile = async (): Promise<void> => {
    expect((await deduct(direct, 'somebody else')).is).to.equal('deducted');
    expect(await deduct(direct, 'late')).to.deep.include({ is: 'refused', code: 'insufficient_stock' });
    await apply(direct, { kind: 'adjust', sku_id, adjustment_id: 'restock', delta: 5, reason: null });
  };
  const expectNothingCame = async (): Promise<void> => {
    await sleep(SETTLED_MS);
    expect(await stands('late'), 'it came after all').to.equal(false);
    expect(await left()).to.equal(5);
  };

  for (const side of ['before', 'inside'] as const) {
    it(`is not told as done, refused to the next, and stays so, held up ${side} its packet`, async () => {
      let letGo: () => void = () => undefined;
      const released = new Promise<'pass'>((resolve) => (letGo = () => resolve('pass')));
      packets.watch(sku_id, { packet: 1, side, act: (): ReturnType<Strike['act']> => released });
      // On a machine that is too busy nobody finds out in time.
      expect((await deduct(behindPackets, 'late', HELD_MS)).is).to.be.oneOf(['not_done', 'unknown']);
      expect(packets.hasStruck && isBatch(packets.statements[0] ?? '')).to.equal(true);
      await refuseMeanwhile();
      letGo();
      await expectNothingCame();
    });
  }

  it('is told as unknown when nobody can be asked, and nothing comes of it', async () => {
    wire.setHeld(true);
    expect((await deduct(behindWire, 'late')).is).to.equal('unknown');
    await sleep(DEAD_MS);
    await refuseMeanwhile();
    wire.setHeld(false);
    await expectNothingCame();
  });

  it('is not told as undone while it may still come', async () => {
    const act: Strike['act'] = (hangUp) => {
      hangUp();
      return sleep(SETTLED_MS, 'pass' as const);
    };
    packets.watch(sku_id, { packet: 1, side: 'before', act });
    expect((await deduct(behindPackets, 'slow')).is).to.equal('deducted');
    expect(packets.hasStruck).to.equal(true);
    expect([await stands('slow'), await left()]).to.deep.equal([true, 0]);
  });

  it('is not told as undone while its rows are not decided', async () => {
    let times = 0;
    for (let time = 0; time < TRIES && times < CAME; time += 1) {
      const side = await sideSession(SHARD);
      await side.beginTransaction();
      await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
      const asked = deduct(direct, `waits-${time}`, LOCK_WAIT_MS);
      // Past its deadline, which is kept before the caller's, and before its wait for the row is over.
      await sleep(0.9 * LOCK_WAIT_MS);
      await side.rollback();
      await side.end();
      const { is } = await asked;
      await sleep(SETTLED_MS);
      const came = await stands(`waits-${time}`);
      times += came ? 1 : 0;
      if (came) await apply(direct, { kind: 'adjust', sku_id, adjustment_id: `restock-${time}`, delta: 1, reason: null });
      expect(is, `it ${came ? 'stands' : 'does not stand'}`).to.be.oneOf(['unknown', came ? 'deducted' : 'not_done']);
    }
    expect(times, 'it came in the end').to.be.above(0);
  });

  // Its deadline is looked at after its ids are written: what was not found by then is not written later.
  it('dies also when it came in time and waited for a row', async () => {
    let waited = false;
    for (let time = 0; time < TRIES && !waited; time += 1) {
      const many = skuOn(SHARD, fresh('zombie'));
      await apply(direct, { kind: 'open', sku_id: many, leaved_amount: 10 });
      // Flows are written in the order of their ids: the first is waited for, and the second is not there yet.
      const lines = ['a', 'b'].map((order_detail_id) => ({ sku_id: many, order_detail_id, quantity: 1 }));
      const side = await sideSession(SHARD);
      await side.beginTransaction();
      await side.query('INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)', [many, 'a', 'o'].map((text) => Buffer.from(text)));
      const sentMs = performance.now();
      const asked = Promise.all(lines.map((one) => apply(direct, { kind: 'deduct', order_id: 'o', lines: [one] }, SHORT_MS)));
      const told = (await asked).map(({ is }) => is);
      expect(told).to.not.include('deducted');
      const found = await reader.findFlows(SHARD, lines.slice(1), performance.now() + REQUEST_MS);
      expect(found.is === 'found' && found.flows).to.deep.equal([null]);
      await side.rollback();
      waited = performance.now() - sentMs < LOCK_WAIT_MS;
      await side.end();
      await sleep(SETTLED_MS);
      const later = await reader.findFlows(SHARD, lines, performance.now() + REQUEST_MS);
      expect(later.is === 'found' && later.flows, `told ${told.join(', ')}, and it came after all`).to.deep.equal([null, null]);
    }
    expect(waited, 'it went on before its wait was over').to.equal(true);
  });
});
