import { readFileSync } from 'node:fs';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { ConfigError } from './configError.ts';
import { LINES_MAX } from './mysql/batching/largestPacket.ts';
import { compileSettings } from './schema/compile.ts';
import type { Fault } from './schema/compile.ts';
import { ALLOWED_KEYWORD } from './schema/wording.ts';
import { parseRedisAddress } from './redis/address.ts';
import type { RedisAddress } from './redis/address.ts';
import type { TierName } from './service/precheck/tier.ts';
import { loadShards } from './shardsFile.ts';
import type { ShardConfig } from './shardsFile.ts';

const port = (fallback: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65_535, default: fallback, description });
const milliseconds = (fallback: number, description: string, minimum = 10) =>
  Type.Integer({ minimum, maximum: 600_000, default: fallback, description });
const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));
/** No message shows its value. */
const secret = (description: string) => Type.Optional(Type.String({ minLength: 1, description, writeOnly: true }));

/** Every environment variable the gateway reads, besides the passwords that `shards.config.ts` names. */
export const settingsSchema = Type.Object({
  PORT: port(8080, 'the public listener; 0 takes a free port'),
  ADMIN_PORT: port(8081, 'the admin listener; 0 takes a free port'),
  HOST: text('the address of the public listener: every address with tokens, 127.0.0.1 without'),
  ADMIN_HOST: text('the address of the admin listener: every address with tokens, 127.0.0.1 without'),
  STOCKGATE_TOKENS: secret('bearer tokens of the public listener, comma separated'),
  STOCKGATE_TOKENS_FILE: text('a file with one token a line, instead of STOCKGATE_TOKENS'),
  STOCKGATE_ADMIN_TOKENS: secret('bearer tokens of the admin listener, comma separated'),
  STOCKGATE_ADMIN_TOKENS_FILE: text('a file with one token a line, instead of STOCKGATE_ADMIN_TOKENS'),
  STOCKGATE_WORKERS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 1,
    description:
      'processes behind the two listeners; each has connections and limits of its own. The flag --workers goes before',
  }),
  STOCKGATE_SHARDS: Type.String({
    minLength: 1,
    default: 'shards.config.ts',
    description: 'the file that lists the shards: .ts, .js or .json',
  }),
  STOCKGATE_ENGINE: Type.Enum(['batching', 'textbook'], {
    default: 'batching',
    description: 'how stock is taken: many operations in one transaction, or a transaction for each',
  }),
  STOCKGATE_BATCH_LINES_MAX: Type.Integer({
    minimum: 1,
    maximum: LINES_MAX,
    default: LINES_MAX,
    description:
      'lines that go to a server in one transaction, at most; an order of more goes alone. Fewer are for measuring',
  }),
  STOCKGATE_REQUEST_MS: milliseconds(3_000, 'the longest a request may take', 1_000),
  STOCKGATE_STATEMENT_MS: milliseconds(1_000, 'the longest wait for one answer of a shard'),
  STOCKGATE_DRAIN_MS: milliseconds(5_000, 'the longest wait for requests in flight after SIGTERM'),
  STOCKGATE_LEAVE_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 0,
    description: 'how long to go on listening after readiness was withdrawn, for load balancers to notice',
  }),
  STOCKGATE_RELAXED: Type.Boolean({
    default: false,
    description: 'serve shards whose commits may be lost with the power; answers then say so',
  }),
  STOCKGATE_HOT_LINES_PER_SECOND: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 5_000,
    description:
      'lines a second that one stock row is meant to carry; where a process is asked for more of one SKU, it suggests to split it',
  }),
  STOCKGATE_PRECHECK: text(
    'what may refuse orders for what is sold out without asking the shards: memory, redis, replica, comma separated; none when absent',
  ),
  STOCKGATE_RATE_PER_SECOND: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'requests of one caller (a token, or an address where there are none) that the public listener lets through each second, in the long run; absent: all',
    }),
  ),
  STOCKGATE_RATE_BURST: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'requests that he may have at once after a pause; absent: those of a second. In t seconds never more than so many and t times the rate',
    }),
  ),
  STOCKGATE_REDIS: text(
    'where Redis is, for the pre-check where that names it, and to count rates over all gateways: redis://host:port, redis+cluster://host:port,… or redis+sentinel://host:port,…/NAME',
  ),
  STOCKGATE_REDIS_PASSWORD: secret('its password'),
  STOCKGATE_REDIS_PREFIX: Type.String({
    pattern: '^[\\w:.-]{1,32}$',
    [ALLOWED_KEYWORD]: '1 to 32 letters, digits or any of _ : . -',
    default: 'stockgate',
    description: 'what its keys begin with; shops that share a Redis need one each',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: text(
    'the collector that is told of requests: the address of its OTLP over HTTP, to which v1/traces is added; spans are made only where there is one',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text('the same, where nothing is to be added'),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'the share of requests that it is told of; a caller who sends traceparent decides for his own',
  }),
  STOCKGATE_CACHED_AGE_MS: milliseconds(1_000, 'how old an answer may be where the caller takes a cached one', 0),
  STOCKGATE_LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent'], {
    default: 'info',
    description: 'how much is logged to standard error',
  }),
});

type Settings = Static<typeof settingsSchema>;

export interface ListenerConfig {
  readonly host: string;
  readonly port: number;
  /** Accepted bearer tokens; empty means that none is asked for, on loopback only. */
  readonly tokens: readonly string[];
}

/** Where Redis is, and how to get in. */
export interface RedisConfig extends RedisAddress {
  readonly password?: string;
  readonly keyPrefix: string;
}

/** Everything the gateway can be told, checked and frozen. */
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
  /** What may refuse early. */
  readonly tiers: readonly TierName[];
  readonly cachedAgeMs: number;
  /** Requests of one caller: in any t seconds at most `burst + perSecond × t`; null: as many as he likes. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
  /** Where spans are sent, and of which share of requests; null: none are made. */
  readonly traces: { readonly url: string; readonly share: number } | null;
  /** Null where nothing of ours is in Redis. */
  readonly redis: RedisConfig | null;
  readonly logLevel: Settings['STOCKGATE_LOG_LEVEL'];
  readonly initialShards: number;
  readonly shards: readonly ShardConfig[];
}

/** What can be said on the command line too, as text. */
export type Flags = Readonly<Partial<Record<'STOCKGATE_WORKERS', string>>>;

const checkSettings = compileSettings(settingsSchema);

/**
 * Reads the environment and the shards file, before anything is opened.
 *
 * @param flags what was said on the command line, by the name of its variable; goes before the environment
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
    throw settingError('STOCKGATE_PRECHECK', 'names replica, but no shard has any');
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

/** Bases and whole addresses as the variables' own standard has them. */
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
    throw settingError('STOCKGATE_REDIS', error instanceof Error ? error.message : String(error));
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

/** An empty variable is an absent one: that is how compose files and shells write "not set". */
function ownVariables(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const names = Object.keys(settingsSchema.properties);
  return Object.fromEntries(names.flatMap((name) => (environment[name]?.trim() ? [[name, environment[name]]] : [])));
}

/** The tokens of one listener. A source that is named but holds none must not open the listener to everybody. */
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
    throw settingError(variable, error instanceof Error ? error.message : String(error));
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
