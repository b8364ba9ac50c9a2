import { expect } from 'chai';
import { createLog } from '../../src/log.ts';
import { sendCart, FREE_MS, wordOf } from '../support/carts/cartCustomers.ts';
import { linesOf } from '../support/carts/cartRows.ts';
import { IN_TRANSACTION, WITH_ATTEMPTS } from '../support/carts/protocols.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import { eventually } from '../support/run/eventually.ts';
import { startWireProxy } from '../support/wire/wireProxy.ts';

const REQUEST_MS = 3_000;
/** For a busy machine. */
const SLACK_MS = 1_500;

/** The step that is not answered. With most of its lines on the silent shard, a transaction is decided there. */
const STEPS = [
  { step: 'hold', protocol: WITH_ATTEMPTS, silentLines: 1 },
  { step: 'hold', protocol: IN_TRANSACTION, silentLines: 1 },
  { step: 'decision', protocol: IN_TRANSACTION, silentLines: 2 },
] as const;

describe('a shard that stops answering', () => {
  for (const { step, protocol, silentLines } of STEPS) {
    it(`delays no answer past the request time, from a ${step} on: ${protocol.name}`, async () => {
      const own = await ownShards({ count: 2, migrated: true });
      const target = (await own.load())[1]?.address;
      const proxy = await startWireProxy({ host: target?.host ?? '', port: target?.port ?? 0 });
      own.rewrite(({ shards }) => Object.assign(shards[1]?.primary ?? {}, { host: '127.0.0.1', port: proxy.port }));
      const behind = await startTestGateway({}, own, createLog('silent'), (ports) => protocol.around(ports));
      try {
        const name = fresh('silent');
        const ofSilent = Array.from({ length: silentLines }, (_, index) => skuOn(1, `${name}-${index}`, 2));
        const sku_ids = [skuOn(0, name, 2), ...ofSilent];
        for (const sku_id of sku_ids) await behind.openSku(sku_id, 1);
        // The first COMMIT on the shard is not answered, nor is anything after it.
        proxy.arm('silent');
        const beganMs = performance.now();
        const order = sendCart(behind, orderOn(0, name), linesOf(sku_ids, name));
        await eventually('the shard has committed', FREE_MS, () => proxy.cutsDone === 1);
        proxy.setSilent(true);
        const { answer } = await order;
        const tookMs = performance.now() - beganMs;
        expect(wordOf(answer)).to.be.oneOf(['overloaded', 'outcome_unknown']);
        expect(tookMs, 'milliseconds').to.be.below(REQUEST_MS + SLACK_MS);
      } finally {
        proxy.setSilent(false);
        await behind.stop();
        await proxy.close();
        await own.drop();
      }
    });
  }
});

/** @returns the id of an order whose cart record is on the given one of two shards */
function orderOn(shard: number, prefix: string): string {
  return skuOn(shard, `${prefix}-order`, 2);
}
