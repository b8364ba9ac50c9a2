import type { Socket } from 'node:net';
import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';
import type { WireProxy } from '../support/wire/wireProxy.ts';

const SHARD = 6;

/**
 * A proxy in front of the server that shares sessions among clients can run a statement outside its transaction, where
 * it commits by itself. The gateway cannot undo that. But it detects it, and never reports it as done or as refused.
 */
describe('a session switched in the middle of a transaction', () => {
  let proxy: WireProxy;
  let shards: Shard[];
  let engine: TextbookEngine;
  let reader: ShardReader;
  let other: mysql.Connection;

  before(async () => {
    proxy = await startWireProxy(addressOf(SHARD));
    shards = openShards({
      ...stack(),
      shards: stack().shards.map((shard, index) =>
        index === SHARD ? { ...shard, address: { ...shard.address, port: proxy.port } } : shard,
      ),
    });
    engine = new TextbookEngine(shards);
    reader = new ShardReader(shards);
  });
  after(async () => {
    for (const { pool } of shards) pool.close();
    await proxy.close();
  });
  beforeEach(async () => {
    other = await sideSession(SHARD);
  });
  afterEach(() => other.destroy());

  for (const { statement, stands, taken } of [
    { statement: 'INSERT INTO flow', stands: true, taken: 0 },
    { statement: 'UPDATE stock', stands: false, taken: 2 },
  ]) {
    it(`is detected at ${statement}, and reported as unknown`, async () => {
      const sku_id = skuOn(SHARD, fresh('switched'));
      const line = { sku_id, order_detail_id: 'd', quantity: 2 };
      const deadline = (): number => performance.now() + 3_000;
      await engine.apply(SHARD, [{ kind: 'open', sku_id, leaved_amount: 10 }], deadline());
      const { stream } = (other as unknown as { connection: { stream: Socket } }).connection;
      stream.removeAllListeners('data');
      proxy.divertNext(statement, stream);
      const [outcome] = await engine.apply(SHARD, [{ kind: 'deduct', order_id: 'o', lines: [line] }], deadline());
      expect((outcome as DeductOutcome).is).to.equal('unknown');
      // The diverted statement is committed alone. Reconciliation finds such a difference.
      const found = await reader.findFlows(SHARD, [line], deadline());
      expect(found.is === 'found' && found.flows[0] !== null).to.equal(stands);
      const stock = await reader.readStock(SHARD, sku_id, deadline());
      expect(stock.is === 'found' && stock.rows[0]?.leaved_amount).to.equal(10 - taken);
      await removeRows(sku_id);
    });
  }

  /** Removes the rows, so that later tests find balanced books. */
  async function removeRows(sku_id: string): Promise<void> {
    const session = await sideSession(SHARD);
    await session.query('DELETE FROM flow WHERE sku_id = ?', [Buffer.from(sku_id)]);
    await session.query('DELETE FROM stock WHERE sku_id = ?', [Buffer.from(sku_id)]);
    await session.end();
  }
});
