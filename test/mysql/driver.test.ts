import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import { HotKeyTracker } from '../../src/core/hot/hotKeyTracker.ts';
import type { Line } from '../../src/core/types.ts';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import { SlotMap, slotOf } from '../../src/core/slots.ts';
import { Connection } from '../../src/mysql/connection/connection.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { lockFlows } from '../../src/mysql/sql/flows/lockFlows.ts';
import { prepareSession } from '../../src/mysql/sql/session/prepareSession.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { CartStore } from '../../src/mysql/carts/cartStore.ts';
import { OrderRecordStore } from '../../src/mysql/carts/orderRecordStore.ts';
import { BackgroundTasks } from '../../src/service/tasks/backgroundTasks.ts';
import { shareHoldCompletion } from '../../src/service/carts/holdCompletion.ts';
import type { ServicePorts } from '../../src/service/servicePorts.ts';
import { hotComponents } from '../support/hot/hotComponents.ts';
import { AdmissionQueue } from '../../src/service/admission/admissionQueue.ts';
import { Routing } from '../../src/service/routing/routing.ts';
import { isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARD = 1;
const STATEMENT_MS = 500;
const REQUEST_MS = 10_000;

describe('driver discipline', () => {
  let shards: Shard[];
  let engine: TextbookEngine;
  let reader: ShardReader;
  let side: mysql.Connection;
  let sku_id: string;

  before(async () => {
    shards = openShards(stack(), STATEMENT_MS);
    engine = new TextbookEngine(shards);
    reader = new ShardReader(shards);
    side = await sideSession(SHARD);
  });
  after(async () => {
    await side.end();
    for (const { pool } of shards) pool.close();
  });
  beforeEach(async () => {
    sku_id = await opened(100);
  });
  afterEach(() => eventually('the shard is quiet again', 3_000, () => isQuiet(shards[SHARD])));

  const deadline = (): number => performance.now() + REQUEST_MS;
  const opened = async (leaved_amount: number): Promise<string> => {
    const name = skuOn(SHARD, fresh('driver'));
    await engine.apply(SHARD, [{ kind: 'open', sku_id: name, leaved_amount }], deadline());
    return name;
  };
  const deduct = async (...lines: Line[]): Promise<DeductOutcome> => {
    const [outcome] = await engine.apply(SHARD, [{ kind: 'deduct', order_id: 'o', lines }], deadline());
    return outcome as DeductOutcome;
  };
  const line = (order_detail_id: string, quantity = 1, of = sku_id): Line => ({
    sku_id: of,
    order_detail_id,
    quantity,
  });
  const left = async (): Promise<number | undefined> => {
    const stock = await reader.readStock(SHARD, sku_id, deadline());
    return stock.is === 'found' ? stock.rows[0]?.leaved_amount : undefined;
  };

  it('delays only the SKU of a locked row, and has no effect after its deadline', async () => {
    const neighbour = await opened(100);
    await side.beginTransaction();
    await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
    const [locked, free] = await Promise.all([deduct(line('a')), deduct(line('b', 1, neighbour))]);
    expect(locked.is).to.equal('not_done');
    expect(free.is).to.equal('deducted');
    await side.rollback();
    expect(await left()).to.equal(100);
    expect((await deduct(line('a'))).is).to.equal('deducted');
    expect(await left()).to.equal(99);
  });

  it('recovers the stock from a gateway that froze in the middle of a transaction', async () => {
    const frozen = await Connection.open(addressOf(SHARD), STATEMENT_MS);
    await prepareSession(frozen, deadline());
    await frozen.run('BEGIN', [], deadline());
    await frozen.run(
      'UPDATE stock SET leaved_amount = leaved_amount - 60 WHERE sku_id = ?',
      [Buffer.from(sku_id)],
      deadline(),
    );
    const startedMs = performance.now();
    let outcome: DeductOutcome;
    do outcome = await deduct(line('a', 60));
    while (outcome.is === 'not_done' && performance.now() - startedMs < 10_000);
    expect(outcome.is).to.equal('deducted');
    expect(await left()).to.equal(40);
    frozen.destroy();
  });

  it('continues after the server closed its idle connections', async () => {
    await deduct(line('a'));
    const [own] = (await side.query(
      'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
    )) as unknown as [{ id: number }[]];
    expect(own.length).to.be.above(0);
    for (const { id } of own) await side.query('KILL ?', [id]).catch(() => undefined);
    expect((await deduct(line('b'))).is).to.equal('deducted');
    expect(await left()).to.equal(98);
  });

  it('retries a deadlocked transaction', async () => {
    const insertFlows = (...ids: string[]) =>
      side.query('INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES ?', [
        ids.map((id) => [Buffer.from(sku_id), Buffer.from(id), Buffer.from('o'), 1]),
      ]);
    const deadlocked = async (round: number): Promise<DeductOutcome> => {
      await side.beginTransaction();
      // The more a transaction has written, the less likely it is the deadlock victim.
      await insertFlows(...Array.from({ length: 50 }, (_, number) => `filler-${number}`), `b-${round}`);
      const both = deduct(line(`a-${round}`), line(`b-${round}`));
      const watcher = await sideSession(SHARD);
      for (let looks = 0, isWaiting = false; !isWaiting && looks < 3; looks += 1) {
        // The server refreshes this table only when it was not read for a tenth of a second.
        await sleep(120);
        const [[row]] = (await watcher.query(
          "SELECT COUNT(*) AS waiting FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
        )) as unknown as [[{ waiting: number }]];
        isWaiting = row.waiting > 0;
      }
      await watcher.end();
      // If the server picks this transaction as the victim, there was a deadlock, but the engine has nothing to retry.
      await insertFlows(`a-${round}`).catch(() => undefined);
      await side.rollback();
      return both;
    };
    const retries = (): number => shards[SHARD]?.retryBudget.retries ?? 0;
    const retriesBefore = retries();
    const outcomes: DeductOutcome[] = [];
    // On a slow machine the wait for the lock may end before the cycle is complete.
    do outcomes.push(await deadlocked(outcomes.length));
    while (retries() === retriesBefore && outcomes.length < 10);
    expect(retries(), 'there was a deadlock').to.be.above(retriesBefore);
    expect(outcomes.at(-1)?.is).to.equal('deducted');
    expect(await left()).to.equal(100 - 2 * outcomes.filter(({ is }) => is === 'deducted').length);
  });

  it('accepts orders that name the same SKUs in opposite order', async () => {
    const second = await opened(1_000);
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const lines = [line(`x-${index}`), line(`x-${index}`, 1, second)];
        return deduct(...(index % 2 === 0 ? lines : lines.reverse()));
      }),
    );
    expect(new Set(outcomes.map(({ is }) => is))).to.deep.equal(new Set(['deducted']));
    expect(await left()).to.equal(40);
  });

  it('has no effect on a read-only server, and sells again when the server accepts writes', async function () {
    const [variables] = (await side.query("SHOW GLOBAL VARIABLES LIKE 'super_read_only'")) as unknown as [unknown[]];
    // MariaDB has only `read_only`, which does not bind an account with all privileges.
    if (variables.length === 0) return this.skip();
    await side.query('SET GLOBAL super_read_only = 1');
    expect((await deduct(line('a'))).is).to.equal('not_done');
    await side.query('SET GLOBAL super_read_only = 0');
    await side.query('SET GLOBAL read_only = 0');
    await eventually('it is served again', 3_000, () => shards[SHARD]?.state().state === 'serving');
    expect((await deduct(line('a'))).is).to.equal('deducted');
    expect(await left()).to.equal(99);
  });

  it('rejects requests only when the queue is full', async () => {
    const small = openShards({
      ...stack(),
      shards: stack().shards.map((shard) => ({ ...shard, connections_max: 1, waiting_max: 5 })),
    });
    const narrow = new TextbookEngine(small);
    await Promise.all(small.map((shard) => shard.tried));
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const [outcome] = await narrow.apply(
          SHARD,
          [{ kind: 'deduct', order_id: 'o', lines: [line(`q-${index}`)] }],
          deadline(),
        );
        return outcome?.is;
      }),
    );
    const deducted = outcomes.filter((is) => is === 'deducted').length;
    // The inspection of the shard may take one place at that moment.
    expect(deducted).to.be.within(5, 6);
    expect(outcomes.filter((is) => is === 'not_done')).to.have.length(20 - deducted);
    for (const { pool } of small) pool.close();
    expect(await left()).to.equal(100 - deducted);
  });

  it('follows a slot that moved to another shard, although its slot map is stale', async () => {
    const target = SHARD + 1;
    const slot = slotOf(sku_id);
    const other = await sideSession(target);
    const routing = new Routing(new SlotMap(16), reader, 16);
    const parts: ServicePorts = {
      routing,
      engine,
      reader,
      shards: reader,
      carts: new CartStore(shards),
      records: new OrderRecordStore(shards),
      backgroundTasks: new BackgroundTasks(() => undefined),
      cartQueue: new AdmissionQueue(1, 1),
      holdCompletion: shareHoldCompletion(),
      hotKeys: new HotKeyTracker(),
      hot: hotComponents(shards, routing, engine),
    };
    const order = { order_id: 'o', lines: [line('moved')] };
    try {
      await side.query('DELETE FROM slot WHERE slot = ?', [slot]);
      await other.query('INSERT INTO slot (slot, epoch) VALUES (?, 2)', [slot]);
      // The stock did not move with it here, so the new owner answers for itself.
      const { outcome } = await deductOrder(parts, order, deadline());
      expect(outcome).to.deep.include({ is: 'refused', code: 'unknown_sku' });
      expect(routing.map.ownerOf(slot)).to.equal(target);
    } finally {
      await other.query('DELETE FROM slot WHERE slot = ?', [slot]);
      await side.query('INSERT INTO slot (slot, epoch) VALUES (?, 3)', [slot]);
      await other.end();
    }
    expect((await deductOrder(parts, order, deadline())).outcome.is).to.equal('deducted');
  });

  it('locks its slot, so that the slot cannot leave the shard while a transaction uses it', async () => {
    await side.beginTransaction();
    await side.query('SELECT * FROM slot WHERE slot = ? FOR UPDATE', [slotOf(sku_id)]);
    expect((await deduct(line('a'))).is).to.equal('not_done');
    await side.rollback();
    expect((await deduct(line('a'))).is).to.equal('deducted');
  });

  for (const { rows, keys } of [
    { rows: 3, keys: 3 },
    { rows: 3, keys: 500 },
    { rows: 20_000, keys: 3 },
    { rows: 20_000, keys: 500 },
  ]) {
    it(`finds ${keys} flows by their key, not by a scan, among ${rows}`, async () => {
      const values = Array.from({ length: rows }, (_, number) => [
        Buffer.from(sku_id),
        Buffer.from(`plan-${number}`),
        Buffer.from('o'),
        1,
      ]);
      await side.query('INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES ?', [values]);
      await side.query('ANALYZE TABLE flow');
      let statement = '';
      let parameters: unknown[] = [];
      const spy = {
        rows: async (sql: string, given: unknown[]) => ((statement = sql), (parameters = given), []),
        run: async () => 0,
      };
      await lockFlows(
        spy as never,
        Array.from({ length: keys }, (_, number) => line(`plan-${number * 2}`)),
      );
      const [plan] = (await side.query(`EXPLAIN FORMAT=TRADITIONAL ${statement}`, parameters)) as unknown as [
        { type: string; key: string; rows: number }[],
      ];
      expect(plan[0]).to.deep.include({ type: 'range', key: 'PRIMARY' });
      expect(Number(plan[0]?.rows)).to.be.at.most(keys);
      await side.query('DELETE FROM flow WHERE sku_id = ?', [Buffer.from(sku_id)]);
    });
  }
});
