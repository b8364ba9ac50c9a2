import { expect } from 'chai';
import { Connection } from '../../src/mysql/connection/connection.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { writeHeartbeat } from '../../src/mysql/sql/session/writeHeartbeat.ts';
import { prepareSession } from '../../src/mysql/sql/session/prepareSession.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ENGINE_OF, ENGINE_NAMES, isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARD = 9;
const REQUEST_MS = 3_000;
const OLD = 'UPDATE precheck SET heartbeat_at = SYSDATE(6) - INTERVAL 1 MINUTE';

for (const engineName of ENGINE_NAMES) {
  describe(`a heartbeat beside a locked stock row, engine: ${engineName}`, () => {
    let shards: Shard[];

    before(async () => {
      shards = openShards(stack());
      await Promise.all(shards.map(({ tried }) => tried));
    });
    after(async () => {
      await eventually('the shards are quiet again', 5_000, () => shards.every(isQuiet));
      for (const { pool } of shards) pool.close();
    });

    it('does not wait for a return that waits for the row', async () => {
      const engine = ENGINE_OF[engineName](shards);
      const sku_id = skuOn(SHARD, fresh('beats'));
      const line = { sku_id, order_detail_id: 'd' };
      const until = (): number => performance.now() + REQUEST_MS;
      await engine.apply(SHARD, [{ kind: 'open', sku_id, leaved_amount: 1 }], until());
      const [sold] = await engine.apply(
        SHARD,
        [{ kind: 'deduct', order_id: 'o', lines: [{ ...line, quantity: 1 }] }],
        until(),
      );
      expect(sold?.is).to.equal('deducted');
      const holder = await sideSession(SHARD);
      const watcher = await sideSession(SHARD);
      const { address } = stack().shards[SHARD]!;
      const beater = await Connection.open(address, REQUEST_MS);
      await prepareSession(beater, until());
      await holder.beginTransaction();
      await holder.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
      const order: string[] = [];
      const returning = engine
        .apply(SHARD, [{ kind: 'return', return_id: 'r', ...line, quantity: 1 }], until())
        .finally(() => order.push('return'));
      await eventually('the return waits for the row', REQUEST_MS, async () => {
        const [rows] = await watcher.query('SHOW FULL PROCESSLIST');
        const waits = (rows as { db: string | null; Info: string | null }[]).filter(
          ({ db, Info }) =>
            db === address.schema && /apply_part|STRAIGHT_JOIN stock s|FROM stock FORCE/.test(Info ?? ''),
        );
        return waits.length > 0;
      });
      // Fails at once if the return holds the row.
      await watcher.query('SELECT only_row FROM precheck WHERE only_row = 1 FOR UPDATE NOWAIT');
      await watcher.query(OLD);
      expect(await writeHeartbeat(beater, until())).to.equal(true);
      order.push('beat');
      await holder.rollback();
      await returning;
      expect(order).to.deep.equal(['beat', 'return']);
      beater.destroy();
      await Promise.all([holder.end(), watcher.end()]);
      expect((await new ShardReader(shards).findFlows(SHARD, [line], until())).is).to.equal('found');
    });
  });
}
