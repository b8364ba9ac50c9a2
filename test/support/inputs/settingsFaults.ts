import { quoted } from '../../../src/core/text/visible.ts';

export const TOKEN = 'token-of-a-shop';

const wholeNumberFault = (name: string, text: string, min: number, max: number): [NodeJS.ProcessEnv, string] => [
  { [name]: text },
  `${name}: must be a whole number from ${min} to ${max}, in digits, found ${quoted(text)}`,
];
const NOT_WHOLE = ['0.99999999999999999', '1e3', '0x50', ' 80', '80\n', '+80', '80.0', '8\u00a00', '１'];
const NO_SHARE = ['1.5', '1.00000000000000001', '1e0', '.5', '-0.1'];
const shareFault = (text: string): [NodeJS.ProcessEnv, string] => [
  { OTEL_TRACES_SAMPLER_ARG: text },
  `OTEL_TRACES_SAMPLER_ARG: must be a decimal number from 0 to 1 with at most 15 digits, found "${text}"`,
];
/** Wrong settings, and the fault that each must cause. */
export const SETTINGS_FAULTS: readonly [NodeJS.ProcessEnv, string][] = [
  wholeNumberFault('PORT', '80a', 0, 65535),
  wholeNumberFault('PORT', '80.5', 0, 65535),
  ...NOT_WHOLE.map((text) => wholeNumberFault('STOCKGATE_WORKERS', text, 1, 64)),
  wholeNumberFault('STOCKGATE_DRAIN_MS', '100.00000000000000001', 10, 600_000),
  wholeNumberFault('STOCKGATE_WORKERS', '0', 1, 64),
  wholeNumberFault('STOCKGATE_WORKERS', '65', 1, 64),
  wholeNumberFault('STOCKGATE_BATCH_LINES_MAX', '0', 1, 1_536),
  wholeNumberFault('STOCKGATE_BATCH_LINES_MAX', '1537', 1, 1_536),
  wholeNumberFault('ADMIN_PORT', '65536', 0, 65535),
  wholeNumberFault('STOCKGATE_DRAIN_MS', '-1', 10, 600000),
  wholeNumberFault('STOCKGATE_HOT_LINES_PER_SECOND', '0', 1, 1000000),
  [{ STOCKGATE_RELAXED: 'yes' }, 'STOCKGATE_RELAXED: must be true or false, found "yes"'],
  [
    { STOCKGATE_LOG_LEVEL: 'loud' },
    'STOCKGATE_LOG_LEVEL: must be "fatal", "error", "warn", "info", "debug" or "silent", found "loud"',
  ],
  [{ PORT: '9000', ADMIN_PORT: '9000' }, 'ADMIN_PORT: must differ from PORT'],

  [{ STOCKGATE_STATEMENT_MS: '3001' }, 'STOCKGATE_STATEMENT_MS: must not be above STOCKGATE_REQUEST_MS'],
  [{ HOST: '0.0.0.0' }, 'HOST: must be a loopback address while no token is configured, not 0.0.0.0'],

  [{ ADMIN_HOST: '10.0.0.1', STOCKGATE_TOKENS: TOKEN }, 'ADMIN_HOST: must be a loopback address while no token'],
  [{ STOCKGATE_TOKENS: ' , ' }, 'STOCKGATE_TOKENS: holds no token'],

  [{ STOCKGATE_TOKENS: `${TOKEN} ${TOKEN}` }, 'STOCKGATE_TOKENS: holds a token that no header can carry'],
  [
    { STOCKGATE_TOKENS: TOKEN, STOCKGATE_TOKENS_FILE: 'x' },
    'STOCKGATE_TOKENS: must not be set together with STOCKGATE_TOKENS_FILE',
  ],
  [{ STOCKGATE_ADMIN_TOKENS_FILE: '/nowhere' }, 'STOCKGATE_ADMIN_TOKENS_FILE: ENOENT'],
  wholeNumberFault('STOCKGATE_RATE_PER_SECOND', '0', 1, 1000000),
  wholeNumberFault('STOCKGATE_RATE_BURST', '0', 1, 1000000),
  ...NO_SHARE.map(shareFault),
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
    'OTEL_EXPORTER_OTLP_ENDPOINT: must be an address that begins with http',
  ],
  [
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'nowhere' },
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must be an address that begins with http',
  ],
];
