import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { Line } from '../../src/core/types.ts';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import { slotOf } from '../../src/core/slots.ts';
import { Connection } from '../../src/mysql/connection/connection.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { ownSlots } from '../../src/mysql/sql/session/ownSlots.ts';
import { prepareSession } from '../../src/mysql/sql/session/prepareSession.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARD = 2;
const STATEMENT_MS = 900;
const REQUEST_MS = 10_000;

/** The requests of one caller must not change the answers to another. */
describe('crowding', () => {
  let shards: Shard[];
  let engine: TextbookEngine;
  let reader: ShardReader;
  let side: mysql.Connection;
  let sku_id: string;

  before(async () => {
    ({ shards, engine } = start());
    reader = new ShardReader(shards);
    side = await sideSession(SHARD);
  });
  after(async () => {
    await side.end();
    for (const { pool } of shards) pool.close();
  });
  beforeEach(async () => {
    sku_id = await opened(1_000);
  });
  afterEach(() => eventually('the shard is quiet again', 3_000, () => isQuiet(shards[SHARD])));

  const start = (limits: Partial<{ connections_max: number; waiting_max: number }> = {}) => {
    const opened = openShards(
      { ...stack(), shards: stack().shards.map((shard) => ({ ...shard, ...limits })) },
      STATEMENT_MS,
    );
    return { shards: opened, engine: new TextbookEngine(opened) };
  };
  const deadline = (): number => performance.now() + REQUEST_MS;
  const opened = async (leaved_amount: number): Promise<string> => {
    const name = skuOn(SHARD, fresh('crowd'));
    await engine.apply(SHARD, [{ kind: 'open', sku_id: name, leaved_amount }], deadline());
    return name;
  };
  const line = (order_detail_id: string, of = sku_id): Line => ({ sku_id: of, order_detail_id, quantity: 1 });
  const deduct = async (lines: readonly Line[], by = engine): Promise<DeductOutcome['is']> => {
    const [outcome] = await by.apply(SHARD, [{ kind: 'deduct', order_id: 'o', lines }], deadline());
    return (outcome as DeductOutcome).is;
  };
  const inParallel = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => work(index)));

  it('finds many flows and replays many lines while another transaction has an uncommitted flow', async () => {
    const lines = Array.from({ length: 20 }, (_, index) => line(`many-${index}`));
    expect(await deduct(lines.slice(0, 1))).to.equal('deducted');
    await side.beginTransaction();
    await side.query(
      'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
      [fresh('strange'), 'd', 'o'].map((text) => Buffer.from(text)),
    );
    try {
      expect((await reader.findFlows(SHARD, lines, deadline())).is).to.equal('found');
      expect(await deduct(lines)).to.equal('deducted');
    } finally {
      await side.rollback();
    }
  });

  it('locks only the slots that it needs', async () => {
    const slots = Array.from({ length: 64 }, (_, number) => SHARD + 16 * number);
    const named = new Map<number, string>();
    for (let number = 0; named.size < 64; number += 1) {
      const name = skuOn(SHARD, `slots-${number}`);
      named.set(slotOf(name), name);
    }
    const needed = slots.slice(0, 40).map((slot) => named.get(slot) ?? '');
    const connection = await Connection.open(addressOf(SHARD), STATEMENT_MS);
    await prepareSession(connection, deadline());
    await connection.run('BEGIN', [], deadline());
    const transaction = {
      rows: <Row>(sql: string, values: never) => connection.rows<Row>(sql, values, deadline()),
      run: async () => 0,
      restart: async () => undefined,
    };
    expect(await ownSlots(transaction, needed)).to.equal(true);
    for (const slot of slots.slice(40)) {
      await side.beginTransaction();
      await side.query('SELECT slot FROM slot WHERE slot = ? FOR UPDATE NOWAIT', [slot]);
      await side.rollback();
    }
    connection.destroy();
  });

  it('serves other SKUs on the shard of a locked SKU, however many requests wait for the locked one', async () => {
    const neighbour = await opened(1_000);
    await side.beginTransaction();
    await side.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
    let ended = 0;
    const stuck = inParallel(30, (index) => deduct([line(`stuck-${index}`)]).finally(() => (ended += 1)));
    await eventually('requests wait inside the server', 3_000, () => (shards[SHARD]?.pool.state().busy ?? 0) >= 4);
    expect(await deduct([line('free', neighbour)])).to.equal('deducted');
    expect(ended, 'requests that ended before the other SKU was served').to.equal(0);
    const served = await inParallel(50, (index) => deduct([line(`free-${index}`, neighbour)]));
    expect(new Set(served)).to.deep.equal(new Set(['deducted']));
    await side.rollback();
    expect((await stuck).every((is) => is === 'not_done' || is === 'deducted')).to.equal(true);
  });

  it('refuses one id of a sold-out SKU on each of 200 parallel attempts, without a deadlock', async () => {
    const soldOut = await opened(0);
    const outcomes = await inParallel(200, () => deduct([line('again', soldOut)]));
    expect(new Set(outcomes)).to.deep.equal(new Set(['refused']));
  });

  // One of the four connections may be inspecting the shard.
  it('uses its connections although its admission queue has no room', async () => {
    const narrow = start({ connections_max: 4, waiting_max: 0 });
    await Promise.all(narrow.shards.map((shard) => shard.tried));
    const skus = await Promise.all(Array.from({ length: 3 }, () => opened(10)));
    const outcomes = await inParallel(3, (index) => deduct([line('only', skus[index] ?? '')], narrow.engine));
    expect(outcomes).to.deep.equal(['deducted', 'deducted', 'deducted']);
    for (const { pool } of narrow.shards) pool.close();
  });

  it('does not report a shard as unreachable when its server accepts no more connections', async () => {
    const [[before]] = (await side.query('SELECT @@GLOBAL.max_connections AS allowed')) as unknown as [
      [{ allowed: number }],
    ];
    const crowded = start();
    await Promise.all(crowded.shards.map((shard) => shard.tried));
    await side.query('SET GLOBAL max_connections = 10');
    try {
      const outcomes = await inParallel(40, (index) => deduct([line(`room-${index}`)], crowded.engine));
      expect(new Set(outcomes)).to.deep.equal(new Set(['deducted']));
      expect(crowded.shards[SHARD]?.state()).to.deep.include({ state: 'serving', reason: null });
    } finally {
      await side.query('SET GLOBAL max_connections = ?', [before.allowed]);
      for (const { pool } of crowded.shards) pool.close();
    }
  });

  it('stops serving a shard while its commits are not durable, and serves it again afterwards', async () => {
    await side.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
    try {
      await eventually('the shard is refused', 5_000, () => shards[SHARD]?.state().state === 'refused');
      expect(await deduct([line('relaxed')])).to.equal('not_done');
    } finally {
      await side.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
    }
    await eventually('all shards serve', 5_000, () => shards.every((shard) => shard.state().state === 'serving'));
    expect(await deduct([line('relaxed')])).to.equal('deducted');
  });
});
