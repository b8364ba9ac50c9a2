import { httpClient } from '../../support/httpClient.ts';
import type { HttpClient } from '../../support/httpClient.ts';
import type { BenchStock } from '../stock.ts';

/** The longest wait for units to be moved from the first row to all rows. */
const SPREAD_MS = 20_000;
const PAUSE_MS = 100;

/** The listeners of a gateway. */
export interface SplittingGateway {
  readonly url: string;
  readonly adminUrl: string;
}

/** Stock whose SKUs are split right after they are opened, by the call of the gateway. */
export function splittingStock(stockRows: BenchStock, gateway: SplittingGateway): BenchStock {
  return {
    ...stockRows,
    async open(goods) {
      await stockRows.open(goods);
      if (goods.sub_rows === 1) return;
      await withClient(async (client) => {
        for (const sku_id of goods.sku_ids) await split(client, gateway, sku_id, goods.sub_rows);
      });
    },
  };
}

/** @throws unless every sub-row then lies on a shard of its own, with its share of the units */
async function split(
  client: HttpClient,
  { url, adminUrl }: SplittingGateway,
  sku_id: string,
  sub_rows: number,
): Promise<void> {
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
      throw new Error(`${sku_id} must lie on ${sub_rows} shards: ${text}`);
    // Transfers must end before the run begins: their transactions would be counted with those of the orders.
    if (rows.every((row) => row.leaved_amount > leaved_amount / sub_rows / 2)) return;
    if (performance.now() > untilMs) throw new Error(`each sub-row of ${sku_id} must get units: ${text}`);
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
