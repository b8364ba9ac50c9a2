import { join, resolve } from 'node:path';
import mysql from 'mysql2/promise';
import { ownPath } from '../cluster/ownership.ts';
import { startRedis } from '../cluster/redis.ts';
import type { RedisProcess } from '../cluster/redis.ts';
import { findTool, REDIS } from '../cluster/tools.ts';
import type { Stack } from './stack.ts';

/** What makes early refusals allowed at once, where no gateway is that would not know of them. */
export const READY = "sellable_after_ms = 1000, ready_at = SYSDATE(6) - INTERVAL 1 SECOND, secret = REPEAT('s', 32)";

/** Starts a Redis for the pre-check. @throws when there is none to be had */
export async function startOwnRedis(dataDirectory: string, say: (line: string) => void): Promise<RedisProcess> {
  const command = await findTool(REDIS, dataDirectory, say);
  if (command === null) throw new Error('there is no redis-server');
  return startRedis(command, ownPath(join(resolve(dataDirectory), 'runs', 'redis')));
}

/** Lets early refusals be made at once on the shards of a fresh stack. */
export async function readyNow({ shards }: Pick<Stack, 'shards'>): Promise<void> {
  for (const {
    address: { host, port, user, password, schema },
  } of shards) {
    const connection = await mysql.createConnection({ host, port, user, password });
    try {
      await connection.query(`UPDATE \`${schema}\`.precheck SET ${READY}`);
    } finally {
      await connection.end();
    }
  }
}

/** What a gateway needs in its environment to ask these tiers. @param tiers as `STOCKGATE_PRECHECK` has them */
export function tierEnvironment(tiers: string, redis: Pick<RedisProcess, 'host' | 'port'> | null): NodeJS.ProcessEnv {
  return {
    STOCKGATE_PRECHECK: tiers,
    ...(redis === null ? {} : { STOCKGATE_REDIS: `redis://${redis.host}:${redis.port}` }),
  };
}
