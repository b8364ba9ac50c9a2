import type { FlowKey } from '../../../src/core/types.ts';
import type { Answer } from '../../../scripts/support/httpClient.ts';
import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { startProtocolGateway } from './protocols.ts';
import type { Protocol } from './protocols.ts';
import { skuOn } from '../engines/traffic.ts';

/** A shop that sends its requests to two gateways in count. */
export interface ReturnDesk {
  readonly gateways: readonly [TestGateway, TestGateway];
  /** The gateway for the next request. */
  next(): TestGateway;
  /** Opens SKUs with this many units each, on these shards. */
  open(units: number, ...shards: readonly number[]): Promise<[string, string]>;
  sell(order_id: string, sku_ids: readonly string[], quantity: number): Promise<Answer>;
  giveBack(key: FlowKey, return_id: string, quantity: number): Promise<Answer>;
  cancel(order_id: string, sku_ids: readonly string[]): Promise<Answer>;
  left(sku_ids: readonly string[]): Promise<number[]>;
  /** For each SKU, the status of its deduction and the units that were returned. */
  look(order_id: string, sku_ids: readonly string[]): Promise<string[]>;
  stop(): Promise<void>;
}

/** Every line of an order has the id of the order as its `order_detail_id`. */
export async function openReturnDesk(protocol: Protocol): Promise<ReturnDesk> {
  const gateways = [await startProtocolGateway(protocol), await startProtocolGateway(protocol)] as const;
  let count = 0;
  const next = (): TestGateway => gateways[(count += 1) % 2] ?? gateways[0];
  const keysOf = (order_id: string, sku_ids: readonly string[]) =>
    sku_ids.map((sku_id) => ({ sku_id, order_detail_id: order_id }));
  return {
    gateways,
    next,
    async open(units, ...shards) {
      const name = fresh('returns');
      const sku_ids = shards.map((shard) => skuOn(shard, name));
      for (const sku_id of sku_ids) await gateways[0].openSku(sku_id, units);
      return [sku_ids[0] ?? '', sku_ids[1] ?? ''];
    },
    sell: (order_id, sku_ids, quantity) =>
      next().post('/v1/deductions', {
        order_id,
        lines: keysOf(order_id, sku_ids).map((key) => ({ ...key, quantity })),
      }),
    giveBack: ({ sku_id, order_detail_id }, return_id, quantity) =>
      next().post('/v1/returns', { return_id, sku_id, order_detail_id, quantity }),
    cancel: (order_id, sku_ids) => next().post('/v1/cancellations', { order_id, lines: keysOf(order_id, sku_ids) }),
    left: (sku_ids) =>
      Promise.all(
        sku_ids.map(
          async (sku_id) => (await next().get(`/v1/skus/${encodeURIComponent(sku_id)}`)).body.leaved_amount as number,
        ),
      ),
    async look(order_id, sku_ids) {
      const { body } = await next().post('/v1/deductions/lookup', { lines: keysOf(order_id, sku_ids) });
      return (body.lines as { status: string; returned?: number }[]).map(({ status, returned }) =>
        returned === undefined ? status : `${status} ${returned}`,
      );
    },
    async stop() {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    },
  };
}
