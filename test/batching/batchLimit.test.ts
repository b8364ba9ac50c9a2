import { expect } from 'chai';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { startPacketProxy } from '../support/wire/packetProxy.ts';
import type { PacketProxy } from '../support/wire/packetProxy.ts';
import { digitsOf, isBatch } from '../support/wire/packets.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARDS = 2;
const ORDERS = 24;
/** Rounds until two orders are in one batch; on a busy machine requests may arrive one by one. */
const ROUNDS_MAX = 50;
const TEST_MS = 120_000;

for (const engine of ['batching', 'textbook']) {
  describe(`STOCKGATE_BATCH_LINES_MAX and a split SKU, engine: ${engine}`, () => {
    let own: OwnShards;
    let proxy: PacketProxy;
    before(async () => {
      own = await ownShards({ count: SHARDS, migrated: true });
      const [first] = await own.load();
      if (first === undefined) throw new Error('the shards file names no shard');
      proxy = await startPacketProxy(first.address);
      own.rewrite(({ shards: [shard] }) => {
        if (shard !== undefined) shard.primary.port = proxy.port;
      });
    });
    after(async () => {
      await proxy?.close();
      await own?.drop();
    });

    /** @returns the largest number of orders in one batch; it stops after the first round with a batch of two */
    async function largestBatch(environment: NodeJS.ProcessEnv, roundsMax: number): Promise<number> {
      const gateway = await startTestGateway({ STOCKGATE_ENGINE: engine, ...environment }, own);
      const sku_id = skuOn(0, fresh('limit'), SHARDS);
      try {
        await gateway.openSku(sku_id, 100_000);
        expect((await gateway.adminPut(`/v1/skus/${sku_id}/hot`, { sub_rows: SHARDS })).status).to.equal(200);
        let largest = 0;
        for (let round = 0; round < roundsMax && largest < 2; round += 1) {
          const ids = Array.from({ length: ORDERS }, () => fresh('detail'));
          proxy.watch(sku_id, null);
          const answers = await Promise.all(
            ids.map((order_detail_id) => gateway.deduct({ sku_id, order_detail_id, quantity: 1 })),
          );
          expect(
            answers.every(({ status }) => status === 201 || status === 503),
            answers.map(({ text }) => text).join('\n'),
          ).to.equal(true);
          const batches = proxy.statements.filter(isBatch).map((sql) => sql.toLowerCase());
          expect(batches).not.to.deep.equal([]);
          largest = Math.max(largest, ...batches.map((sql) => ids.filter((id) => sql.includes(digitsOf(id))).length));
        }
        return largest;
      } finally {
        await gateway.stop();
      }
    }

    it('does not bound batches when it is not set', async () => {
      expect(await largestBatch({}, ROUNDS_MAX)).to.be.above(1);
    }).timeout(TEST_MS);

    it('bounds the lines of a batch', async () => {
      expect(await largestBatch({ STOCKGATE_BATCH_LINES_MAX: '1' }, 3)).to.equal(1);
    }).timeout(TEST_MS);
  });
}
