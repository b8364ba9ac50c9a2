import { join, resolve } from 'node:path';
import mysql from 'mysql2/promise';
import { ownPath } from '../cluster/ownership.ts';
import { startRedis } from '../cluster/redis/redis.ts';
import type { RedisProcess } from '../cluster/redis/redis.ts';
import { findTool, REDIS } from '../cluster/install/tools.ts';
import type { Stack } from './stack.ts';

/** Column values that allow early refusals at once. Only for shards without gateways that lack the pre-check. */
export const PRECHECK_READY =
  "sellable_after_ms = 1000, ready_at = SYSDATE(6) - INTERVAL 1 SECOND, secret = REPEAT('s', 32)";

/** Starts a Redis for the pre-check. @throws when no redis-server can be had */
export async function startOwnRedis(dataDirectory: string, say: (line: string) => void): Promise<RedisProcess> {
  const command = await findTool(REDIS, dataDirectory, say);
  if (command === null) throw new Error('no redis-server in PATH, and no private copy could be made');
  return startRedis(command, ownPath(join(resolve(dataDirectory), 'runs', 'redis')));
}

/** Allows early refusals at once on the shards of a new stack. */
export async function enablePrecheckNow({ shards }: Pick<Stack, 'shards'>): Promise<void> {
  for (const {
    address: { host, port, user, password, schema },
  } of shards) {
    const connection = await mysql.createConnection({ host, port, user, password });
    try {
      await connection.query(`UPDATE \`${schema}\`.precheck SET ${PRECHECK_READY}`);
    } finally {
      await connection.end();
    }
  }
}

/** The environment of a gateway that uses these tiers. @param tiers as in `STOCKGATE_PRECHECK` */
export function tierEnvironment(tiers: string, redis: Pick<RedisProcess, 'host' | 'port'> | null): NodeJS.ProcessEnv {
  return {
    STOCKGATE_PRECHECK: tiers,
    ...(redis === null ? {} : { STOCKGATE_REDIS: `redis://${redis.host}:${redis.port}` }),
  };
}
