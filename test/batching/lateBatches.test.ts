import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { Line } from '../../src/core/types.ts';
import type { Operation } from '../../src/core/operation.ts';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { ENGINE_OF, isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { startPacketProxy } from '../support/wire/packetProxy.ts';
import type { PacketProxy, Strike } from '../support/wire/packetProxy.ts';
import { isBatch } from '../support/wire/packets.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startRewritingProxy } from '../support/wire/rewritingProxy.ts';
import type { RewritingProxy } from '../support/wire/rewritingProxy.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

const SHARD = 4;
const REQUEST_MS = 3_000;
/** Long enough for work to begin, and shorter than a wait for a lock. */
const SHORT_MS = 700;
/** Longer than a shard may still accept a batch. */
const DEAD_MS = 2_500;
/** Shorter than a session may be silent, because the end of the session alone would undo the batch. */
const HELD_MS = 1_700;
/** The time in which a released batch could take effect. */
const SETTLED_MS = 300;
/**
 * A wait for a lock ends after this time. A test that is slower, on a busy machine, cannot observe the batch after its
 * wait.
 */
const LOCK_WAIT_MS = 1_000;
const TRIES = 8;
/** The duration of a COMMIT that ends after the gateway gave up on the batch. */
const COMMIT_S = 1.3;

/** A batch that arrives late, after its gateway gave up on it, changes nothing, so the answers given meanwhile hold. */
describe('a batch that arrives after its deadline', () => {
  const opened: Shard[] = [];
  let packets: PacketProxy;
  let wire: WireProxy;
  let forgetful: RewritingProxy;
  let slow: RewritingProxy;
  let behindPackets: StockEngine;
  let behindForgetful: StockEngine;
  let behindSlow: StockEngine;
  let behindWire: StockEngine;
  let direct: StockEngine;
  let reader: ShardReader;
  let sku_id: string;

  before(async () => {
    packets = await startPacketProxy(addressOf(SHARD));
    wire = await startWireProxy(addressOf(SHARD));
    // The proxy confirms a setting and drops it, so the gateway cannot detect that.
    forgetful = await startRewritingProxy(addressOf(SHARD));
    forgetful.rewrite = (statement) =>
      statement.startsWith('SET SESSION ')
        ? statement.replace('innodb_lock_wait_timeout = 1', 'innodb_lock_wait_timeout = 50')
        : statement.replace('@@SESSION.innodb_lock_wait_timeout', '1');
    behindForgetful = ENGINE_OF.batching(openAt(forgetful.port));
    slow = await startRewritingProxy(addressOf(SHARD));
    behindSlow = ENGINE_OF.batching(openAt(slow.port));
    behindPackets = ENGINE_OF.batching(openAt(packets.port));
    behindWire = ENGINE_OF.batching(openAt(wire.port));
    const own = openAt(addressOf(SHARD).port);
    direct = ENGINE_OF.batching(own);
    reader = new ShardReader(own);
    await Promise.all(opened.map(({ tried }) => tried));
  });
  after(async () => {
    await eventually('no work is left on the shards', 5_000, () => opened.every(isQuiet));
    for (const { pool } of opened) pool.close();
    await packets.close();
    await wire.close();
    await forgetful.close();
    await slow.close();
  });
  beforeEach(async () => {
    sku_id = skuOn(SHARD, fresh('zombie'));
    await apply(direct, { kind: 'open', sku_id, leaved_amount: 1 });
    // An engine that has read a SKU once sends the next order for it in one packet.
    const tooLarge = { kind: 'deduct', order_id: 'o', lines: [{ ...line('too large'), quantity: 2 }] } as const;
    const all = [behindPackets, behindWire, behindForgetful, behindSlow, direct];
    for (const by of all) expect((await apply(by, tooLarge)).is).to.equal('refused');
  });

  function openAt(port: number): Shard[] {
    const own = openShards({
      ...stack(),
      shards: stack().shards.map((shard, index) =>
        index === SHARD ? { ...shard, address: { ...shard.address, port } } : shard,
      ),
    });
    opened.push(...own);
    return own;
  }
  const apply = async (by: StockEngine, operation: Operation, waitMs = REQUEST_MS): Promise<DeductOutcome> => {
    const [outcome] = await by.apply(SHARD, [operation], performance.now() + waitMs);
    return outcome as DeductOutcome;
  };
  const line = (order_detail_id: string): Line => ({ sku_id, order_detail_id, quantity: 1 });
  const deduct = (by: StockEngine, order_detail_id: string, waitMs?: number): Promise<DeductOutcome> =>
    apply(by, { kind: 'deduct', order_id: 'o', lines: [line(order_detail_id)] }, waitMs);
  const stands = async (order_detail_id: string): Promise<boolean> => {
    const found = await reader.findFlows(SHARD, [line(order_detail_id)], performance.now() + REQUEST_MS);
    if (found.is !== 'found') throw new Error(found.is);
    return found.flows[0] !== null;
  };
  const left = async (): Promise<unknown> => {
    const stock = await reader.readStock(SHARD, sku_id, performance.now() + REQUEST_MS);
    return stock.is === 'found' && stock.rows[0]?.leaved_amount;
  };

  /** Whether a batch is running on the shard. */
  const waitsOnServer = async (session: mysql.Connection): Promise<boolean> => {
    const [rows] = await session.query('SHOW FULL PROCESSLIST');
    const { schema } = addressOf(SHARD);
    const isPart = /apply_part|STRAIGHT_JOIN stock s/i;
    return (rows as { db: string | null; Info: string | null }[]).some(
      ({ db, Info }) => db === schema && isPart.test(Info ?? ''),
    );
  };

  /** Another caller buys the last unit, the same ids are refused, and a restock adds units. */
  const refuseMeanwhile = async (): Promise<void> => {
    expect((await deduct(direct, 'another buyer')).is).to.equal('deducted');
    expect(await deduct(direct, 'late')).to.deep.include({ is: 'refused', code: 'insufficient_stock' });
    await apply(direct, { kind: 'adjust', sku_id, adjustment_id: 'restock', delta: 5, reason: null });
  };
  const expectNoEffect = async (): Promise<void> => {
    await sleep(SETTLED_MS);
    expect(await stands('late'), 'it took effect after all').to.equal(false);
    expect(await left()).to.equal(5);
  };

  for (const side of ['before', 'inside'] as const) {
    it(`is not reported as done, and takes no effect after a refusal, when stalled ${side} its packet`, async () => {
      let release: () => void = () => undefined;
      const released = new Promise<'pass'>((resolve) => (release = () => resolve('pass')));
      packets.watch(sku_id, { packet: 1, side, act: (): ReturnType<Strike['act']> => released });
      // On a busy machine the outcome may not be resolved in time.
      expect((await deduct(behindPackets, 'late', HELD_MS)).is).to.be.oneOf(['not_done', 'unknown']);
      expect(packets.hasStruck && isBatch(packets.statements[0] ?? '')).to.equal(true);
      await refuseMeanwhile();
      release();
      await expectNoEffect();
    });
  }

  it('is reported as unknown while no server answers, and takes no effect later', async () => {
    wire.setHeld(true);
    // Shorter than the two seconds after which MySQL ends the silent session and reports that. The outcome would then
    // be "not done".
    expect((await deduct(behindWire, 'late', HELD_MS)).is).to.equal('unknown');
    await sleep(DEAD_MS);
    await refuseMeanwhile();
    wire.setHeld(false);
    await expectNoEffect();
  });

  it('is not reported as undone while it may still arrive', async () => {
    const act: Strike['act'] = (hangUp) => {
      hangUp();
      return sleep(SETTLED_MS, 'pass' as const);
    };
    packets.watch(sku_id, { packet: 1, side: 'before', act });
    expect((await deduct(behindPackets, 'slow')).is).to.equal('deducted');
    expect(packets.hasStruck).to.equal(true);
    expect([await stands('slow'), await left()]).to.deep.equal([true, 0]);
  });

  it('is not reported as undone while its rows are undecided', async () => {
    // COMMIT ends after the deadline of the batch, which is earlier than the deadline of the caller. All assertions are
    // made before COMMIT, which then takes its time.
    const slowly = `;DO SLEEP(${COMMIT_S});COMMIT`;
    slow.rewrite = (statement) => (isBatch(statement) ? statement.replace(/;COMMIT$/, slowly) : statement);
    let tookEffect = false;
    for (let time = 0; time < TRIES && !tookEffect; time += 1) {
      const { is } = await deduct(behindSlow, `waits-${time}`, LOCK_WAIT_MS);
      await sleep(COMMIT_S * 1_000);
      tookEffect = await stands(`waits-${time}`);
      expect(is, `it ${tookEffect ? 'stands' : 'does not stand'}`).to.be.oneOf([
        'unknown',
        tookEffect ? 'deducted' : 'not_done',
      ]);
    }
    expect(tookEffect, 'it took effect in the end').to.equal(true);
  });

  it('changes nothing, however long it waited for a lock after its ids were written', async () => {
    const side = await sideSession(SHARD);
    await side.beginTransaction();
    await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
    const { is } = await deduct(behindForgetful, 'late');
    expect(is).to.be.oneOf(['not_done', 'unknown']);
    // Its ids are written and its deadline has passed. It waits only for the stock row.
    await sleep(DEAD_MS);
    expect(await waitsOnServer(side), 'it still waits').to.equal(true);
    await side.rollback();
    await eventually('it has ended', 5_000, async () => !(await waitsOnServer(side)));
    await side.end();
    expect([await stands('late'), await left()], `it was ${is}`).to.deep.equal([false, 1]);
    expect((await deduct(direct, 'late')).is).to.equal('deducted');
  });

  // The deadline is asserted after the ids are written, so an id that a read did not find is not written later.
  it('takes no effect either when it arrived in time and waited for a row', async () => {
    let waited = false;
    for (let time = 0; time < TRIES && !waited; time += 1) {
      const many = skuOn(SHARD, fresh('zombie'));
      await apply(direct, { kind: 'open', sku_id: many, leaved_amount: 10 });
      // Flows are written in the order of their ids: the batch waits for the first, and has not yet written the second.
      const lines = ['a', 'b'].map((order_detail_id) => ({ sku_id: many, order_detail_id, quantity: 1 }));
      const side = await sideSession(SHARD);
      await side.beginTransaction();
      await side.query(
        'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
        [many, 'a', 'o'].map((text) => Buffer.from(text)),
      );
      const sentMs = performance.now();
      const asked = Promise.all(
        lines.map((one) => apply(direct, { kind: 'deduct', order_id: 'o', lines: [one] }, SHORT_MS)),
      );
      const words = (await asked).map(({ is }) => is);
      expect(words).to.not.include('deducted');
      const found = await reader.findFlows(SHARD, lines.slice(1), performance.now() + REQUEST_MS);
      expect(found.is === 'found' && found.flows).to.deep.equal([null]);
      await side.rollback();
      waited = performance.now() - sentMs < LOCK_WAIT_MS;
      await side.end();
      await sleep(SETTLED_MS);
      const later = await reader.findFlows(SHARD, lines, performance.now() + REQUEST_MS);
      expect(
        later.is === 'found' && later.flows,
        `answered ${words.join(', ')}, and took effect after all`,
      ).to.deep.equal([null, null]);
    }
    expect(waited, 'the row was unlocked before the wait was over').to.equal(true);
  });
});
