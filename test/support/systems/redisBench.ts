import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { ownPath } from '../../../scripts/cluster/ownership.ts';
import { findTool, REDIS } from '../../../scripts/cluster/install/tools.ts';
import type { Command } from '../../../scripts/cluster/install/tools.ts';
import type { StockReading } from '../../../src/core/precheck/stockReading.ts';
import { ClientCommander } from '../../../src/redis/commander.ts';
import type { Commander } from '../../../src/redis/commander.ts';
import type { RedisOptions } from '../../../src/redis/options.ts';
import { PARTITION_COUNT, partitionOf, PartitionKeys } from '../../../src/redis/partitions.ts';
import { RedisReadings } from '../../../src/redis/redisReadings.ts';
import { scriptOf } from '../../../src/redis/script.ts';
import { eventually } from '../run/eventually.ts';

export const PREFIX = 'test';
export const SECRET = Buffer.from('a secret of the shard');
export const COMMAND_MS = 400;
export const KEEP_MS = 4_000;
/** The time for a gateway to begin an era in every partition; the machine may be busy. */
const READY_MS = 15_000;
/** The key of the number of milliseconds by which the clock of the server is ahead. */
const SKEW_KEY = 'skew';

/** The Redis program, and a folder for its files. */
export async function redisBench(): Promise<{ command: Command; directory: string }> {
  const command = await findTool(REDIS, '.local', (line) => console.error(line));
  if (command === null) throw new Error('there is no redis-server to test with');
  const directory = ownPath(join(resolve('.local'), 'runs', 'redis'));
  mkdirSync(directory, { recursive: true });
  return { command, directory };
}

const started: RedisReadings[] = [];

/** The readings that one gateway shares through Redis. Resolves when they are ready. */
export async function startRedisTier(
  nodes: readonly RedisProcess[],
  more: Partial<RedisOptions> & { readonly isSkewed?: boolean } = {},
): Promise<RedisReadings> {
  const { isSkewed = false, ...others } = more;
  const options: RedisOptions = {
    ...{ mode: 'single', nodes: nodes.map(({ host, port }) => ({ host, port })), keyPrefix: PREFIX },
    ...{ secretOf: () => SECRET, commandMs: COMMAND_MS, keepMs: KEEP_MS },
    ...others,
  };
  const readings = new RedisReadings(options, isSkewed ? skewed(new ClientCommander(options)) : undefined);
  started.push(readings);
  readings.start();
  await ready(readings);
  return readings;
}

export function ready(readings: RedisReadings): Promise<void> {
  return eventually(
    'every partition is watched',
    READY_MS,
    () => readings.state().watchedPartitions === PARTITION_COUNT,
  );
}

export async function stopGateways(): Promise<void> {
  await Promise.all(started.splice(0).map((readings) => readings.stop()));
}

/** Moves the clock of the server ahead, for gateways with `isSkewed`, by this much from its real time. */
export async function setClockAhead(server: RedisProcess, ms: number): Promise<void> {
  await server.ask('SET', SKEW_KEY, String(ms));
}

/** Runs every script with a clock that can be set. */
function skewed(inner: Commander): Commander {
  return {
    get isConnected() {
      return inner.isConnected;
    },
    start: () => inner.start(),
    stop: () => inner.stop(),
    run: ({ lua }, keys, texts) => inner.run(scriptOf(withSkewedClock(lua)), keys, texts),
  };
}

function withSkewedClock(lua: string): string {
  return `
local function skewedTime()
  local time = redis.call('TIME')
  local micros = time[1] * 1000000 + time[2] + (redis.call('GET', '${SKEW_KEY}') or 0) * 1000
  return { string.format('%d', math.floor(micros / 1000000)), string.format('%d', micros % 1000000) }
end
${lua.replaceAll("redis.call('TIME')", 'skewedTime()')}`;
}

export function keyOf(sku_id: string): string {
  return new PartitionKeys(PREFIX, partitionOf(sku_id)).ofSku(sku_id);
}

export function stockReadingOf(sku_id: string, more: Partial<StockReading> = {}): StockReading {
  return {
    sku_id,
    leaved_amount: 0,
    isEmpty: true,
    version: 1,
    mode: 'single',
    rows: [{ shard: 3, sub_row: 0, leaved_amount: 0 }],
    asOfMs: performance.now(),
    ...more,
  };
}

/** The reading of a SKU that a gateway gets from Redis; null when there is none, or no answer. */
export async function storedReading(readings: RedisReadings, sku_id: string): Promise<StockReading | null> {
  const [reading = null] = await readings.read([sku_id], performance.now() + 1_000).catch(() => [null]);
  return reading;
}

/**
 * Writes a reading until it can be read again, because a single cache write may be dropped.
 *
 * @returns the reading that was written
 */
export async function writeUntilRead(
  from: RedisReadings,
  to: RedisReadings,
  sku_id: string,
  more: Partial<StockReading> = {},
): Promise<StockReading> {
  let written = stockReadingOf(sku_id, more);
  await eventually(`${sku_id} can be read`, READY_MS, async () => {
    written = stockReadingOf(sku_id, more);
    await from.store([written]);
    const known = await storedReading(to, sku_id);
    return known !== null && known.version >= written.version;
  });
  return written;
}
