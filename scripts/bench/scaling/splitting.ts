import { httpClient } from '../../support/httpClient.ts';
import type { HttpClient } from '../../support/httpClient.ts';
import type { Shelves } from '../shelves.ts';

/** For the units to come from the first row to all. */
const SPREAD_MS = 20_000;
const PAUSE_MS = 100;

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

/** @throws unless every sub-row then lies on a shard of its own, with its part of the units */
async function split(client: HttpClient, { url, adminUrl }: Gateway, sku_id: string, sub_rows: number): Promise<void> {
  const answer = await client.call({ method: 'PUT', url: hotUrl(adminUrl, sku_id), body: { sub_rows } });
  if (answer.status !== 200) throw new Error(`${sku_id} was not split: ${answer.status} ${answer.text}`);
  const untilMs = performance.now() + SPREAD_MS;
  for (;;) {
    const { body, text } = await client.call({ method: 'GET', url: `${url}/v1/skus/${sku_id}` });
    const { leaved_amount, sub_rows: rows } = body as {
      leaved_amount: number;
      sub_rows: { shard: number; leaved_amount: number }[];
    };
    if (new Set(rows.map(({ shard }) => shard)).size !== sub_rows || rows.length !== sub_rows)
      throw new Error(`${sku_id} should lie on ${sub_rows} shards: ${text}`);
    // What is brought about during a run is no order.
    if (rows.every((row) => row.leaved_amount > leaved_amount / sub_rows / 2)) return;
    if (performance.now() > untilMs) throw new Error(`the units of ${sku_id} should lie in all rows: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
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
