import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RedisProcess } from '../../scripts/cluster/redis.ts';
import { ownPath } from '../../scripts/cluster/ownership.ts';
import { findTool, REDIS } from '../../scripts/cluster/tools.ts';
import type { Command } from '../../scripts/cluster/tools.ts';
import type { Sight } from '../../src/core/sight.ts';
import { ClientCommander } from '../../src/redis/commander.ts';
import type { Commander } from '../../src/redis/commander.ts';
import type { RedisOptions } from '../../src/redis/options.ts';
import { PART_COUNT, partOf, PartKeys } from '../../src/redis/parts.ts';
import { RedisSights } from '../../src/redis/redisSights.ts';
import { scriptOf } from '../../src/redis/script.ts';
import { eventually } from './eventually.ts';

export const PREFIX = 'test';
export const SECRET = Buffer.from('a secret of the shard');
export const COMMAND_MS = 400;
export const KEEP_MS = 4_000;
/** For a gateway to have begun an era in every part; the machine may be busy. */
const READY_MS = 15_000;
/** What the clock of the server is made to be ahead by, in milliseconds. */
const SKEW_KEY = 'skew';

/** The program, and a folder for its files. */
export async function redisBench(): Promise<{ command: Command; directory: string }> {
  const command = await findTool(REDIS, '.local', (line) => console.error(line));
  if (command === null) throw new Error('there is no redis-server to test with');
  const directory = ownPath(join(resolve('.local'), 'runs', 'redis'));
  mkdirSync(directory, { recursive: true });
  return { command, directory };
}

const started: RedisSights[] = [];

/** What one gateway knows through Redis; it is ready when this is fulfilled. */
export async function gateway(
  nodes: readonly RedisProcess[],
  more: Partial<RedisOptions> & { readonly isSkewed?: boolean } = {},
): Promise<RedisSights> {
  const { isSkewed = false, ...others } = more;
  const options: RedisOptions = {
    ...{ mode: 'single', nodes: nodes.map(({ host, port }) => ({ host, port })), keyPrefix: PREFIX },
    ...{ secretOf: () => SECRET, commandMs: COMMAND_MS, keepMs: KEEP_MS },
    ...others,
  };
  const sights = new RedisSights(options, isSkewed ? skewed(new ClientCommander(options)) : undefined);
  started.push(sights);
  sights.start();
  await ready(sights);
  return sights;
}

export function ready(sights: RedisSights): Promise<void> {
  return eventually('every part is watched', READY_MS, () => sights.state().watchedParts === PART_COUNT);
}

export async function stopGateways(): Promise<void> {
  await Promise.all(started.splice(0).map((sights) => sights.stop()));
}

/** Sets the clock of the server for gateways that are skewed: so far ahead of what it is. */
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
  return new PartKeys(PREFIX, partOf(sku_id)).ofSku(sku_id);
}

export function sightOf(sku_id: string, more: Partial<Sight> = {}): Sight {
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

/** What a gateway knows of a SKU; not to answer is to know nothing. */
export async function knownOf(sights: RedisSights, sku_id: string): Promise<Sight | null> {
  const [sight = null] = await sights.look([sku_id], performance.now() + 1_000).catch(() => [null]);
  return sight;
}

/** Notes a sight until it is read again: one note may be dropped, and is allowed to be. @returns the sight that was noted */
export async function noteUntilKnown(
  from: RedisSights,
  to: RedisSights,
  sku_id: string,
  more: Partial<Sight> = {},
): Promise<Sight> {
  let noted = sightOf(sku_id, more);
  await eventually(`${sku_id} is known`, READY_MS, async () => {
    noted = sightOf(sku_id, more);
    await from.note([noted]);
    const known = await knownOf(to, sku_id);
    return known !== null && known.version >= noted.version;
  });
  return noted;
}
