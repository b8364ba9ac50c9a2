import { expect } from 'chai';
import { startGateway } from '../../src/app/startGateway.ts';
import type { Gateway } from '../../src/app/startGateway.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { HotRows } from '../../src/core/ports/hotRows.ts';
import { createLog } from '../../src/log.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { rowsBalance } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';

describe('a resize during another operation', () => {
  let other: TestGateway;
  let gateway: Gateway;
  /** Runs once, after a shard of an earlier layout was read and before the reader gets the answer. */
  let whileRead: (() => Promise<void>) | null = null;

  const delayed = (rows: HotRows): HotRows =>
    new Proxy(rows, {
      get: (target, name: keyof HotRows) => {
        if (name !== 'findExisting') return target[name].bind(target);
        return async (...asked: Parameters<HotRows['findExisting']>) => {
          const found = await target.findExisting(...asked);
          const first = whileRead;
          whileRead = null;
          await first?.();
          return found;
        };
      },
    });

  before(async () => {
    other = await startTestGateway();
    const config = await loadConfig({ ...stack().environment, PORT: '0', ADMIN_PORT: '0' });
    gateway = await startGateway(config, createLog('silent'), (ports) => ({
      ...ports,
      hotRows: delayed(ports.hotRows),
    }));
  });

  after(async () => {
    await gateway.drain();
    await other.stop();
  });

  it('does not cause a second sale of an id whose earlier shards were read in the previous layout', async () => {
    const sku_id = fresh('asked');
    await other.openSku(sku_id, 100);
    const resize = async (sub_rows: number): Promise<void> => {
      const url = `${gateway.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}/hot`;
      const { status, text } = await other.client.call(
        sub_rows === 1 ? { method: 'DELETE', url } : { method: 'PUT', url, body: { sub_rows } },
      );
      expect(status, text).to.equal(200);
    };
    await resize(16);
    await resize(1);
    for (const order_detail_id of ['d1', 'd2', 'd3']) {
      const line = { order_detail_id, sku_id, quantity: 1 };
      expect((await other.deduct(line)).status).to.equal(201);
      let isResized = false;
      whileRead = async () => {
        await resize(order_detail_id === 'd2' ? 1 : 16);
        isResized = true;
      };
      const again = await other.client.call({
        method: 'POST',
        url: `${gateway.publicUrl}/v1/deductions`,
        body: { order_id: `order of ${order_detail_id}`, lines: [line] },
      });
      expect({ isResized, replayed: again.body?.replayed as unknown }, again.text).to.deep.equal({
        isResized: true,
        replayed: true,
      });
    }
    await rowsBalance(stack(), sku_id);
  });
});
