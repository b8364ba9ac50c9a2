import { expect } from 'chai';
import type { Line } from '../../src/core/types.ts';
import type { Operation } from '../../src/core/operation.ts';
import type { StockEngine } from '../../src/core/ports/stockEngine.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { ENGINE_NAMES, ENGINE_OF, isQuiet, openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { startLateCommits } from '../support/wire/lateCommits.ts';
import type { LateCommits } from '../support/wire/lateCommits.ts';
import { stack } from '../support/run/setup.ts';
import { addressOf, sideSession } from '../support/rows/sideSession.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';

const SHARD = 3;
const REQUEST_MS = 3_000;
const STATEMENT_MS = 300;
/** So late that the gateway has given up on the COMMIT, and on its first in-doubt resolution too. */
const LATE_MS = 800;
/** Long enough for work to begin. */
const SHORT_MS = 1_000;

/** "Not found" is no valid answer while the operation may still be committed. */
for (const engineName of ENGINE_NAMES) {
  describe(`an undecided operation, engine: ${engineName}`, () => {
    const opened: Shard[] = [];
    let proxy: LateCommits;
    let engine: StockEngine;
    let lateEngine: StockEngine;
    let reader: ShardReader;
    let sku_id: string;

    before(async () => {
      proxy = await startLateCommits(addressOf(SHARD), LATE_MS);
      const direct = open(STATEMENT_MS);
      engine = ENGINE_OF[engineName](direct);
      reader = new ShardReader(direct);
      lateEngine = ENGINE_OF[engineName](open(STATEMENT_MS, proxy.port));
    });
    after(async () => {
      await eventually('no work is left on the shards', 5_000, () => opened.every(isQuiet));
      for (const { pool } of opened) pool.close();
      await proxy.close();
    });
    beforeEach(async () => {
      sku_id = skuOn(SHARD, fresh('undecided'));
      expect(await apply({ kind: 'open', sku_id, leaved_amount: 10 })).to.equal('applied');
    });

    function open(statementMs: number, port = addressOf(SHARD).port): Shard[] {
      const shards = stack().shards.map((shard, index) =>
        index === SHARD ? { ...shard, address: { ...shard.address, port } } : shard,
      );
      const own = openShards({ ...stack(), shards }, statementMs);
      opened.push(...own);
      return own;
    }
    const firstPacketCommits = engineName === 'batching';
    const deadline = (): number => performance.now() + REQUEST_MS;
    const apply = async (operation: Operation, by = engine, deadlineMs = deadline()): Promise<string | undefined> =>
      (await by.apply(SHARD, [operation], deadlineMs))[0]?.is;
    const left = async (): Promise<unknown> => {
      const stock = await reader.readStock(SHARD, sku_id, deadline());
      return stock.is === 'found' ? stock.rows[0]?.leaved_amount : stock.is;
    };

    for (const ending of ['commit', 'rollback'] as const) {
      it(`makes a look-up wait until its ${ending}`, async () => {
        const line: Line = { sku_id, order_detail_id: 'a', quantity: 1 };
        const side = await sideSession(SHARD);
        await side.beginTransaction();
        await side.query(
          'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
          [sku_id, 'a', 'o'].map((text) => Buffer.from(text)),
        );
        const lookup = reader.findFlows(SHARD, [line], deadline());
        await eventually('the look-up has begun', 1_000, () => opened.some((shard) => !isQuiet(shard)));
        await new Promise((resolve) => setTimeout(resolve, STATEMENT_MS / 3));
        await side[ending]();
        await side.end();
        const found = await lookup;
        expect(found.is === 'found' && found.flows.map((flow) => flow?.status ?? 'none')).to.deep.equal([
          ending === 'commit' ? 'deducted' : 'none',
        ]);
      });
    }

    const operations: readonly (readonly [Operation['kind'], () => Operation, left: number])[] = [
      ['deduct', () => ({ kind: 'deduct', order_id: 'o', lines: [{ sku_id, order_detail_id: 'a', quantity: 3 }] }), 7],
      ['adjust', () => ({ kind: 'adjust', sku_id, adjustment_id: 'a', delta: 5, reason: null }), 15],
      ['open', () => ({ kind: 'open', sku_id: (sku_id = skuOn(SHARD, fresh('late'))), leaved_amount: 20 }), 20],
    ];
    for (const [kind, operation, expected] of operations) {
      // By that time an operation in a batch is undone, and is reported as undone.
      if (engineName === 'batching' && kind !== 'open') continue;
      it(`is awaited when its COMMIT ends after the gateway gave up on it: ${kind}`, async () => {
        const sent = operation();
        const done = kind === 'deduct' ? 'deducted' : 'applied';
        const startedMs = performance.now();
        expect(await apply(sent, lateEngine)).to.equal(done);
        expect(performance.now() - startedMs, 'the COMMIT was late').to.be.above(LATE_MS);
        expect(await left()).to.equal(expected);
        expect(await apply(sent), 'the same ids again').to.equal(done);
        expect(await left()).to.equal(expected);
      });
    }

    it('ends within its deadline, however long each of its statements may take', async () => {
      const silent = await startWireProxy(addressOf(SHARD));
      const patient = ENGINE_OF[engineName](open(REQUEST_MS, silent.port));
      // Several connections, because one of them may be busy with the check of the shard.
      await Promise.all(
        ['a', 'b', 'c'].map((adjustment_id) =>
          apply({ kind: 'adjust', sku_id, adjustment_id, delta: 1, reason: null }, patient),
        ),
      );
      silent.setSilent(true);
      const startedMs = performance.now();
      const line: Line = { sku_id, order_detail_id: 'a', quantity: 1 };
      expect(await apply({ kind: 'deduct', order_id: 'o', lines: [line] }, patient, startedMs + SHORT_MS)).to.equal(
        firstPacketCommits ? 'unknown' : 'not_done',
      );
      expect(performance.now() - startedMs).to.be.below(1.5 * SHORT_MS);
      await silent.close();
      // Only the answers were lost.
      expect(await left()).to.equal(firstPacketCommits ? 12 : 13);
    });
  });
}
