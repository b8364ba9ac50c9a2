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

const listeners = {
  PORT: port(8080, 'Port of the public listener. `0` takes a free port.'),
  ADMIN_PORT: port(8081, 'Port of the admin listener. It must differ from `PORT`. `0` takes a free port.'),
  HOST: text(
    'Address on which the public listener listens. Absent: all addresses if the listener has tokens, 127.0.0.1 if ' +
      'it has none. Without tokens only a loopback address is accepted.',
  ),
  ADMIN_HOST: text('The same for the admin listener.'),
  STOCKGATE_TOKENS: secret(
    'Bearer tokens that the public listener accepts, comma separated. Absent: no token is required, and the listener ' +
      'listens on loopback only.',
  ),
  STOCKGATE_TOKENS_FILE: text('File with one token a line, in place of `STOCKGATE_TOKENS`.'),
  STOCKGATE_ADMIN_TOKENS: secret('Bearer tokens that the admin listener accepts, comma separated.'),
  STOCKGATE_ADMIN_TOKENS_FILE: text('File with one token a line, in place of `STOCKGATE_ADMIN_TOKENS`.'),
  STOCKGATE_WORKERS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 1,
    description:
      'Number of processes behind the two listeners. Each has its own connections and limits. The flag takes ' +
      'precedence over the variable.',
  }),
};

const shards = {
  STOCKGATE_SHARDS: Type.String({
    minLength: 1,
    default: 'shards.config.ts',
    description: 'File that lists the shards: `.ts`, `.js` or `.json`.',
  }),
  STOCKGATE_ENGINE: Type.Enum(['batching', 'textbook'], {
    default: 'batching',
    description:
      'How operations are applied. `batching`: many in one transaction. `textbook`: each in a transaction of its own.',
  }),
  STOCKGATE_BATCH_LINES_MAX: Type.Integer({
    minimum: 1,
    maximum: LINES_MAX,
    default: LINES_MAX,
    description:
      'The most order lines in one transaction of a server. A larger order is sent alone. Lower it for ' +
      'measurements only.',
  }),
  STOCKGATE_RELAXED: Type.Boolean({
    default: false,
    description:
      'Also serve shards whose commits may be lost in a power failure. Their answers have the durability ' +
      '`mysql_relaxed`.',
  }),
  STOCKGATE_HOT_LINES_PER_SECOND: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 5_000,
    description:
      'Order lines per second that one stock row should carry. For a SKU above it `GET /v1/shards` suggests a split.',
  }),
};

const limits = {
  STOCKGATE_REQUEST_MS: milliseconds(3_000, 'The longest time that a request may take.', 1_000),
  STOCKGATE_STATEMENT_MS: milliseconds(
    1_000,
    'The longest wait for one answer of a shard. It must not be above `STOCKGATE_REQUEST_MS`.',
  ),
  STOCKGATE_DRAIN_MS: milliseconds(5_000, 'The longest wait for requests in flight after SIGTERM.'),
  STOCKGATE_LEAVE_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 0,
    description:
      'How long the gateway continues to listen after it has withdrawn its readiness, so that load balancers notice.',
  }),
};

const preCheck = {
  STOCKGATE_PRECHECK: text(
    'Tiers that may refuse orders for sold-out SKUs before the shards are read: any of `memory`, `redis` and ' +
      '`replica`, comma separated. `redis` needs `STOCKGATE_REDIS`; `replica` needs replicas in the shards file. ' +
      'Absent: no pre-check.',
  ),
  STOCKGATE_CACHED_AGE_MS: milliseconds(
    1_000,
    'The greatest age of a cached answer, for callers that accept a cached one.',
    0,
  ),
};

const rates = {
  STOCKGATE_RATE_PER_SECOND: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'Requests per second of one caller that the public listener admits in the long run. A caller is a token, or ' +
        'an address if there are no tokens. Absent: no limit.',
    }),
  ),
  STOCKGATE_RATE_BURST: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'Requests of one caller that are admitted at once after a pause. In any t seconds at most this number plus ' +
        't times the rate are admitted. Absent: the requests of one second.',
    }),
  ),
};

const redis = {
  STOCKGATE_REDIS: text(
    'Address of Redis, for the tier `redis` and for rate limits over all gateways: `redis://host:port`, ' +
      '`redis+cluster://host:port,…` or `redis+sentinel://host:port,…/NAME`.',
  ),
  STOCKGATE_REDIS_PASSWORD: secret('Password of Redis.'),
  STOCKGATE_REDIS_PREFIX: Type.String({
    pattern: '^[\\w:.-]{1,32}$',
    [ALLOWED_KEYWORD]: '1 to 32 letters, digits or any of _ : . -',
    default: 'stockgate',
    description: 'Prefix of all keys in Redis. Each shop that shares a Redis needs a prefix of its own.',
  }),
};

const observation = {
  STOCKGATE_LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent'], {
    default: 'info',
    description: 'The least severe level that is logged to standard error.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: text(
    'Address of the collector of traces, OTLP over HTTP. `/v1/traces` is added to it. Absent: no traces.',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text(
    'The whole address of the collector, to which nothing is added. It takes precedence over ' +
      '`OTEL_EXPORTER_OTLP_ENDPOINT`.',
  ),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'Share of requests that are traced. A caller that sends `traceparent` decides for its own requests.',
  }),
};

const reconciliation = {
  STOCKGATE_RECONCILIATION_ROUND_SECONDS: Type.Integer({
    minimum: 0,
    maximum: 86_400,
    default: 480,
    description:
      'The time in which the continuous reconciliation compares every SKU once. Its load is bounded, so a round of ' +
      'large shards can take longer. `0` turns it off.',
  }),
};

/** The settings by subject. `docs/configuration.md` has a table of each group. */
export const settingGroups = [
  { title: 'Listeners', settings: listeners },
  { title: 'Shards', settings: shards },
  { title: 'Time limits', settings: limits },
  { title: 'Pre-check and cached answers', settings: preCheck },
  { title: 'Rate limits', settings: rates },
  { title: 'Redis', settings: redis },
  { title: 'Reconciliation', settings: reconciliation },
  { title: 'Log and traces', settings: observation },
] as const;

/** Every environment variable that the gateway reads, except the passwords that `shards.config.ts` names. */
export const settingsSchema = Type.Object({
  ...listeners,
  ...shards,
  ...limits,
  ...preCheck,
  ...rates,
  ...redis,
  ...reconciliation,
  ...observation,
});

/** The settings after the check, with defaults. */
export type Settings = Static<typeof settingsSchema>;
