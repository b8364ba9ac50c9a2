import { readFileSync } from 'node:fs';
import { ConfigError } from './configError.ts';
import { compileSettings } from '../schema/compile.ts';
import type { Fault } from '../schema/compile.ts';
import { parseRedisAddress } from '../redis/address.ts';
import type { RedisAddress } from '../redis/address.ts';
import type { TierName } from '../service/precheck/tier.ts';
import { settingsSchema } from './settings.ts';
import type { Settings } from './settings.ts';
import { loadShards } from './shardsFile.ts';
import type { ShardConfig } from './shardsFile.ts';
import { errorText } from '../core/text/errorText.ts';

export interface ListenerConfig {
  readonly host: string;
  readonly port: number;
  /** Accepted bearer tokens; empty: none is required, and the listener is on loopback only. */
  readonly tokens: readonly string[];
}

/** The address of Redis and its credentials. */
export interface RedisConfig extends RedisAddress {
  readonly password?: string;
  readonly keyPrefix: string;
}

/** The whole configuration of a gateway, checked and frozen. */
export interface Config {
  readonly public: ListenerConfig;
  readonly admin: ListenerConfig;
  /** Processes behind the listeners. */
  readonly workers: number;
  readonly engine: Settings['STOCKGATE_ENGINE'];
  readonly batchLinesMax: number;
  readonly requestMs: number;
  readonly statementMs: number;
  readonly drainMs: number;
  readonly leaveMs: number;
  readonly relaxedAllowed: boolean;
  readonly hotLinesPerSecond: number;
  /** The tiers of the pre-check; empty: it is off. */
  readonly tiers: readonly TierName[];
  readonly cachedAgeMs: number;
  /** Requests of one caller: in any t seconds at most `burst + perSecond × t`; null: no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
  /** The address of the collector and the share of requests that are traced; null: no spans are made. */
  readonly traces: { readonly url: string; readonly share: number } | null;
  /** Null: Redis is not used. */
  readonly redis: RedisConfig | null;
  /** The time for one round of the continuous reconciliation; 0: it is off. */
  readonly reconciliationRoundMs: number;
  readonly logLevel: Settings['STOCKGATE_LOG_LEVEL'];
  readonly initialShards: number;
  readonly shards: readonly ShardConfig[];
}

/** The settings that the command line accepts too, as text. */
export type Flags = Readonly<Partial<Record<'STOCKGATE_WORKERS', string>>>;

const checkSettings = compileSettings(settingsSchema);

/**
 * Reads the environment and the shards file, before anything is opened.
 *
 * @param flags settings from the command line, by the name of the variable; they take precedence over the environment
 * @throws ConfigError with the path of every fault
 */
export async function loadConfig(environment: NodeJS.ProcessEnv = process.env, flags: Flags = {}): Promise<Config> {
  const checked = checkSettings({ ...ownVariables(environment), ...flags });
  if (!checked.ok) throw new ConfigError('the environment', checked.faults);
  const settings = checked.value;
  const relations = settingFaults(settings);
  if (relations.length > 0) throw new ConfigError('the environment', relations);
  const { initialShards, shards } = await loadShards(settings.STOCKGATE_SHARDS, environment);
  if (tiersOf(settings).includes('replica') && shards.every(({ replicas }) => replicas.length === 0)) {
    throw settingError('STOCKGATE_PRECHECK', 'names replica, but no shard in the shards file has replicas');
  }
  const publicTokens = tokensOf(settings, 'STOCKGATE_TOKENS');
  const adminTokens = tokensOf(settings, 'STOCKGATE_ADMIN_TOKENS');
  return deepFreeze({
    public: listener('HOST', settings.HOST, settings.PORT, publicTokens),
    admin: listener('ADMIN_HOST', settings.ADMIN_HOST, settings.ADMIN_PORT, adminTokens),
    workers: settings.STOCKGATE_WORKERS,
    engine: settings.STOCKGATE_ENGINE,
    batchLinesMax: settings.STOCKGATE_BATCH_LINES_MAX,
    requestMs: settings.STOCKGATE_REQUEST_MS,
    statementMs: settings.STOCKGATE_STATEMENT_MS,
    drainMs: settings.STOCKGATE_DRAIN_MS,
    leaveMs: settings.STOCKGATE_LEAVE_MS,
    relaxedAllowed: settings.STOCKGATE_RELAXED,
    hotLinesPerSecond: settings.STOCKGATE_HOT_LINES_PER_SECOND,
    tiers: tiersOf(settings),
    cachedAgeMs: settings.STOCKGATE_CACHED_AGE_MS,
    rate: rateOf(settings),
    traces: tracesOf(settings),
    redis: redisOf(settings),
    reconciliationRoundMs: settings.STOCKGATE_RECONCILIATION_ROUND_SECONDS * 1_000,
    logLevel: settings.STOCKGATE_LOG_LEVEL,
    initialShards,
    shards,
  });
}

function settingFaults(settings: Settings): Fault[] {
  const faults: Fault[] = [];
  if (settings.PORT !== 0 && settings.PORT === settings.ADMIN_PORT) {
    faults.push({ path: 'ADMIN_PORT', message: 'must differ from PORT' });
  }
  if (settings.STOCKGATE_STATEMENT_MS > settings.STOCKGATE_REQUEST_MS) {
    faults.push({ path: 'STOCKGATE_STATEMENT_MS', message: 'must not be above STOCKGATE_REQUEST_MS' });
  }
  return faults;
}

function rateOf({ STOCKGATE_RATE_PER_SECOND: perSecond, STOCKGATE_RATE_BURST: burst }: Settings): Config['rate'] {
  return perSecond === undefined ? null : { perSecond, burst: burst ?? perSecond };
}

/** A base gets `/v1/traces` appended and a whole address nothing, as the OpenTelemetry specification has it. */
function tracesOf(settings: Settings): Config['traces'] {
  const {
    OTEL_EXPORTER_OTLP_ENDPOINT: base,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole,
    OTEL_TRACES_SAMPLER_ARG: share,
  } = settings;
  const address = whole ?? base;
  if (address === undefined) return null;
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
    throw settingError(
      `OTEL_EXPORTER_OTLP_${whole === undefined ? '' : 'TRACES_'}ENDPOINT`,
      'must be an address that begins with http:// or https://',
    );
  return { url: whole ?? `${address.replace(/\/$/, '')}/v1/traces`, share };
}

function redisOf(settings: Settings): RedisConfig | null {
  const { STOCKGATE_REDIS: address, STOCKGATE_REDIS_PASSWORD: password, STOCKGATE_REDIS_PREFIX: keyPrefix } = settings;
  const isTier = tiersOf(settings).includes('redis');
  if (!isTier && (address === undefined || settings.STOCKGATE_RATE_PER_SECOND === undefined)) return null;
  if (address === undefined) throw settingError('STOCKGATE_REDIS', 'is not set, though STOCKGATE_PRECHECK names redis');
  try {
    return { ...parseRedisAddress(address), keyPrefix, ...(password === undefined ? {} : { password }) };
  } catch (error) {
    throw settingError('STOCKGATE_REDIS', errorText(error));
  }
}

const TIERS = ['memory', 'redis', 'replica'] as const satisfies readonly TierName[];

function tiersOf({ STOCKGATE_PRECHECK: named = '' }: Settings): TierName[] {
  const names = named
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = names.filter((name) => !TIERS.some((tier) => tier === name));
  if (unknown.length > 0)
    throw settingError('STOCKGATE_PRECHECK', `has no tier called ${unknown.join(', ')}; there are ${TIERS.join(', ')}`);
  return TIERS.filter((tier) => names.includes(tier));
}

/** Drops empty variables, because compose files and shells write "not set" as an empty value. */
function ownVariables(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const names = Object.keys(settingsSchema.properties);
  return Object.fromEntries(names.flatMap((name) => (environment[name]?.trim() ? [[name, environment[name]]] : [])));
}

/** The tokens of one listener. A source that is named but has no token must not open the listener to all callers. */
function tokensOf(settings: Settings, variable: 'STOCKGATE_TOKENS' | 'STOCKGATE_ADMIN_TOKENS'): string[] {
  const list = settings[variable];
  const file = settings[`${variable}_FILE`];
  if (list === undefined && file === undefined) return [];
  if (list !== undefined && file !== undefined)
    throw settingError(variable, `must not be set together with ${variable}_FILE`);
  const source = file === undefined ? (list ?? '').split(',') : readTokens(`${variable}_FILE`, file).split('\n');
  const tokens = source.map((token) => token.trim()).filter((token) => token !== '');
  const named = file === undefined ? variable : `${variable}_FILE`;
  if (tokens.length === 0) throw settingError(named, 'holds no token');
  if (!tokens.every((token) => /^[\x21-\x7e]+$/.test(token))) {
    throw settingError(named, 'holds a token that no header can carry: only visible ASCII characters can stand in one');
  }
  return tokens;
}

function readTokens(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw settingError(variable, errorText(error));
  }
}

function settingError(path: string, message: string): ConfigError {
  return new ConfigError('the environment', [{ path, message }]);
}

function listener(
  variable: string,
  host: string | undefined,
  listenPort: number,
  tokens: readonly string[],
): ListenerConfig {
  if (tokens.length > 0) return { host: host ?? '0.0.0.0', port: listenPort, tokens };
  if (host !== undefined && !['127.0.0.1', '::1', 'localhost'].includes(host)) {
    throw settingError(variable, `must be a loopback address while no token is configured, not ${host}`);
  }
  return { host: host ?? '127.0.0.1', port: listenPort, tokens };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
