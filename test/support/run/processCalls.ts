import { expect } from 'chai';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import { fresh } from '../gateway/gateway.ts';

/** Calls to a gateway in a process of its own. */
export interface ProcessCalls {
  /** Opens a SKU. @returns its id */
  readonly open: (units: number, sku_id?: string) => Promise<string>;
  /** Orders one unit; the ids of the order and its line are made of `id`. */
  readonly deduct: (sku_id: string, id: string) => Promise<Answer>;
  /** The units left of a SKU. */
  readonly left: (sku_id: string) => Promise<unknown>;
  /** The text of the metrics page. */
  readonly page: () => Promise<string>;
}

/** Both are functions, because a test may replace its client and start its gateway late. */
export function callsOf(client: () => HttpClient, gateway: () => GatewayProcess): ProcessCalls {
  return {
    open: async (units, sku_id = fresh('of workers')) => {
      const { status } = await client().call({
        method: 'PUT',
        url: `${gateway().adminUrl}/v1/skus/${encodeURIComponent(sku_id)}`,
        body: { leaved_amount: units },
      });
      expect(status).to.equal(201);
      return sku_id;
    },
    deduct: (sku_id, id) =>
      client().call({
        method: 'POST',
        url: `${gateway().publicUrl}/v1/deductions`,
        body: { order_id: `order ${id}`, lines: [{ order_detail_id: id, sku_id, quantity: 1 }] },
      }),
    left: async (sku_id) => {
      const url = `${gateway().publicUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
      return (await client().call({ method: 'GET', url })).body?.leaved_amount;
    },
    page: async () => {
      const { status, text } = await client().call({ method: 'GET', url: `${gateway().adminUrl}/metrics` });
      expect(status).to.equal(200);
      return text;
    },
  };
}
