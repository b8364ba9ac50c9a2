import { createClient } from '@redis/client';
import { startRedis } from '../cluster/redis/redis.ts';
import type { Command } from '../cluster/install/tools.ts';
import type { BenchStock } from './stock.ts';

/** A Redis server and access to the stock in it. */
export interface RedisStore {
  readonly port: number;
  readonly pid: number;
  readonly stock: BenchStock;
  stop(): Promise<void>;
}

export async function startRedisStore(command: Command, directory: string): Promise<RedisStore> {
  const server = await startRedis(command, directory);
  const { host, port, pid } = server;
  const client = createClient({ socket: { host, port, reconnectStrategy: false } });
  client.on('error', () => undefined);
  await client.connect();
  const stockRows: BenchStock = {
    shardCount: 1,
    async open({ sku_ids, openingOf }) {
      await client.flushAll();
      for (const sku_id of sku_ids) await client.set(`stock:${sku_id}`, String(openingOf(sku_id)));
    },
    async read({ sku_ids, openingOf }) {
      const left = (await Promise.all(sku_ids.map((sku_id) => client.get(`stock:${sku_id}`)))).map(Number);
      const flowCount = (await client.dbSize()) - sku_ids.length;
      const leaved = left.reduce((sum, units) => sum + units, 0);
      // Every order takes one unit, so the number of ids is the number of units sold.
      return {
        opening: sku_ids.reduce((sum, sku_id) => sum + openingOf(sku_id), 0),
        leaved,
        held: 0,
        deducted: flowCount,
        flowCount,
        lines: new Map(),
        differences: sku_ids.filter((_, index) => !(Number(left[index]) >= 0)),
      };
    },
    close: async () => client.destroy(),
  };
  return {
    port,
    pid,
    stock: stockRows,
    async stop() {
      await stockRows.close();
      await server.stop();
    },
  };
}
