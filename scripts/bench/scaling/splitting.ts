import { httpClient } from '../../support/httpClient.ts';
import type { HttpClient } from '../../support/httpClient.ts';
import type { Shelves } from '../shelves.ts';

/** Where a gateway listens. */
export interface Gateway {
  readonly url: string;
  readonly adminUrl: string;
}

/** Shelves whose SKUs are split, by the gateway's own call, as soon as they are filled. */
export function splittingShelves(shelves: Shelves, gateway: Gateway): Shelves {
  return {
    ...shelves,
    async open(goods) {
      await shelves.open(goods);
      if (goods.sub_rows === 1) return;
      await withClient(async (client) => {
        for (const sku_id of goods.sku_ids) await split(client, gateway, sku_id, goods.sub_rows);
      });
    },
  };
}

/** Whether the gateway knows how to split: a SKU that there is not shows it, and changes nothing. */
export function canSplit({ adminUrl }: Gateway): Promise<boolean> {
  return withClient(async (client) => (await client.call({ method: 'PUT', url: hotUrl(adminUrl, 'nothing'), body: { sub_rows: 2 } })).status !== 501);
}

/** @throws unless every sub-row then lies on a shard of its own */
async function split(client: HttpClient, { url, adminUrl }: Gateway, sku_id: string, sub_rows: number): Promise<void> {
  const answer = await client.call({ method: 'PUT', url: hotUrl(adminUrl, sku_id), body: { sub_rows } });
  if (answer.status !== 200) throw new Error(`${sku_id} was not split: ${answer.status} ${answer.text}`);
  const { body, text } = await client.call({ method: 'GET', url: `${url}/v1/skus/${sku_id}` });
  const shards = new Set((body as { sub_rows: { shard: number }[] }).sub_rows.map(({ shard }) => shard));
  if (shards.size !== sub_rows || body.sub_rows.length !== sub_rows) throw new Error(`${sku_id} should lie on ${sub_rows} shards: ${text}`);
}

function hotUrl(adminUrl: string, sku_id: string): string {
  return `${adminUrl}/v1/skus/${sku_id}/hot`;
}

async function withClient<T>(work: (client: HttpClient) => Promise<T>): Promise<T> {
  const client = httpClient(1);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
