import { expect } from 'chai';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import { fresh } from './gateway.ts';

/** A shard as `GET /v1/shards` reports it. */
interface ReportedShard {
  readonly state: string;
  readonly reason: string | null;
  readonly breaker: string;
  readonly pool: { readonly busy: number; readonly waiting: number };
}

/** Calls of gateways that are started and stopped during a test. */
export interface GatewayCalls {
  open(gateway: { readonly adminUrl: string }, sku_id: string, leaved_amount: number): Promise<Answer>;
  /** Deducts one unit under a new id. */
  deduct(gateway: { readonly publicUrl: string }, sku_id: string): Promise<Answer>;
  shardsOf(gateway: { readonly adminUrl: string }): Promise<readonly ReportedShard[]>;
  /** The status of a GET; a 401 must be complete. */
  statusOf(url: string, authorization?: string): Promise<number>;
}

/** @param client returns the client of the running test */
export function gatewayCalls(client: () => HttpClient): GatewayCalls {
  return {
    open: ({ adminUrl }, sku_id, leaved_amount) =>
      client().call({ method: 'PUT', url: `${adminUrl}/v1/skus/${sku_id}`, body: { leaved_amount } }),
    deduct: ({ publicUrl }, sku_id) => {
      const lines = [{ sku_id, order_detail_id: fresh('detail'), quantity: 1 }];
      return client().call({ method: 'POST', url: `${publicUrl}/v1/deductions`, body: { order_id: 'life', lines } });
    },
    shardsOf: async ({ adminUrl }) =>
      (await client().call({ method: 'GET', url: `${adminUrl}/v1/shards` })).body.shards as ReportedShard[],
    statusOf: async (url, authorization) => {
      const { status, body, headers } = await client().call({
        method: 'GET',
        url,
        ...(authorization === undefined ? {} : { headers: { authorization } }),
      });
      if (status === 401) expect([body.code, headers['www-authenticate']]).to.deep.equal(['unauthorized', 'Bearer']);
      return status;
    },
  };
}
