import { Type } from 'typebox';
import type { Static } from 'typebox';
import { LINES_MAX } from '../mysql/batching/largestPacket.ts';
import { ALLOWED_KEYWORD } from '../schema/wording.ts';

const port = (fallback: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65_535, default: fallback, description });
const milliseconds = (fallback: number, description: string, minimum = 10) =>
  Type.Integer({ minimum, maximum: 600_000, default: fallback, description });
const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));
/** A text whose value no message shows. */
const secret = (description: string) => Type.Optional(Type.String({ minLength: 1, description, writeOnly: true }));

/** Every environment variable that the gateway reads, except the passwords that `shards.config.ts` names. */
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
      'processes behind the two listeners, each with its own connections and limits; --workers takes precedence',
  }),
  STOCKGATE_SHARDS: Type.String({
    minLength: 1,
    default: 'shards.config.ts',
    description: 'the file that lists the shards: .ts, .js or .json',
  }),
  STOCKGATE_ENGINE: Type.Enum(['batching', 'textbook'], {
    default: 'batching',
    description: 'how operations are applied: many in one transaction, or each in its own',
  }),
  STOCKGATE_BATCH_LINES_MAX: Type.Integer({
    minimum: 1,
    maximum: LINES_MAX,
    default: LINES_MAX,
    description:
      'the most lines in one transaction of a server; a larger order is sent alone. Lower it for measurements only',
  }),
  STOCKGATE_REQUEST_MS: milliseconds(3_000, 'the longest a request may take', 1_000),
  STOCKGATE_STATEMENT_MS: milliseconds(1_000, 'the longest wait for one answer of a shard'),
  STOCKGATE_DRAIN_MS: milliseconds(5_000, 'the longest wait for requests in flight after SIGTERM'),
  STOCKGATE_LEAVE_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 0,
    description: 'how long to go on listening after readiness was withdrawn, so that load balancers notice',
  }),
  STOCKGATE_RELAXED: Type.Boolean({
    default: false,
    description:
      'serve shards whose commits may be lost in a power failure; answers then have durability mysql_relaxed',
  }),
  STOCKGATE_HOT_LINES_PER_SECOND: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 5_000,
    description:
      'lines per second that one stock row should carry; for a SKU above it, GET /v1/shards suggests a split',
  }),
  STOCKGATE_PRECHECK: text(
    'the tiers that may refuse orders for sold-out SKUs before the shards are read: memory, redis, replica, ' +
      'comma separated; absent: none',
  ),
  STOCKGATE_RATE_PER_SECOND: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'requests per second of one caller (a token, or an address where there are no tokens) that the public ' +
        'listener admits in the long run; absent: all',
    }),
  ),
  STOCKGATE_RATE_BURST: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'requests of one caller that are admitted at once after a pause; absent: those of one second. ' +
        'In any t seconds at most this number plus t times the rate are admitted',
    }),
  ),
  STOCKGATE_REDIS: text(
    'the address of Redis, for the pre-check if it names redis, and to count rates over all gateways: ' +
      'redis://host:port, redis+cluster://host:port,… or redis+sentinel://host:port,…/NAME',
  ),
  STOCKGATE_REDIS_PASSWORD: secret('the password of Redis'),
  STOCKGATE_REDIS_PREFIX: Type.String({
    pattern: '^[\\w:.-]{1,32}$',
    [ALLOWED_KEYWORD]: '1 to 32 letters, digits or any of _ : . -',
    default: 'stockgate',
    description: 'the prefix of all keys in Redis; each shop that shares a Redis needs its own',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: text(
    'the collector of traces: the address of its OTLP over HTTP, to which v1/traces is added; absent: no traces',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text('the whole address of the collector, to which nothing is added'),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'the share of requests that are traced; a caller that sends traceparent decides for its own requests',
  }),
  STOCKGATE_CACHED_AGE_MS: milliseconds(1_000, 'the greatest age of a cached answer, for callers that accept one', 0),
  STOCKGATE_LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent'], {
    default: 'info',
    description: 'how much is logged to standard error',
  }),
});

/** The settings after the check, with defaults. */
export type Settings = Static<typeof settingsSchema>;
