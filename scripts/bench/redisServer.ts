import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { freePort } from '../cluster/port.ts';
import { supervise } from '../cluster/supervise.ts';
import type { Shelves } from './shelves.ts';
import type { Command } from './tools.ts';

/** A Redis that keeps nothing on disk, and the shelves in it. */
export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  readonly shelves: Shelves;
  stop(): Promise<unknown>;
}

const START_MS = 10_000;
const POLL_MS = 50;
const STOP_MS = 5_000;

export async function startRedis(command: Command, directory: string): Promise<RedisServer> {
  const port = await freePort();
  mkdirSync(directory, { recursive: true });
  const [program, ...before] = command;
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory, '--save', '', '--appendonly', 'no'];
  const child = supervise({ command: program, arguments: [...before, ...settings], workingDirectory: directory, stdout: 'ignore' });
  const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false } });
  client.on('error', () => undefined);
  const untilMs = performance.now() + START_MS;
  while (!client.isReady) {
    await client.connect().catch(() => sleep(POLL_MS));
    if (!client.isReady && performance.now() > untilMs) {
      await child.stop(0);
      throw new Error(`redis-server was not ready within ${START_MS / 1_000} s`);
    }
  }
  const shelves: Shelves = {
    shardCount: 1,
    async open({ sku_ids, opening }) {
      await client.flushAll();
      for (const sku_id of sku_ids) await client.set(`stock:${sku_id}`, String(opening));
    },
    async read({ sku_ids, opening }) {
      const left = (await Promise.all(sku_ids.map((sku_id) => client.get(`stock:${sku_id}`)))).map(Number);
      const flowCount = (await client.dbSize()) - sku_ids.length;
      const leaved = left.reduce((sum, units) => sum + units, 0);
      // Every order takes one unit, so there are as many units sold as ids.
      return { opening: opening * sku_ids.length, leaved, held: 0, deducted: flowCount, flowCount, differences: sku_ids.filter((_, index) => !(Number(left[index]) >= 0)) };
    },
    close: async () => client.destroy(),
  };
  return {
    port,
    pid: child.pid,
    shelves,
    async stop() {
      await shelves.close();
      return child.stop(STOP_MS);
    },
  };
}
