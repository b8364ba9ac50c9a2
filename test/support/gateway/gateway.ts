import type { Logger } from 'pino';
import { startGateway } from '../../../src/app/startGateway.ts';
import type { Gateway } from '../../../src/app/startGateway.ts';
import type { BackendPorts } from '../../../src/app/backendPorts.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { createLog } from '../../../src/log.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { stack } from '../run/setup.ts';

/** A gateway inside the test's own process, with a client for both of its listeners. */
export interface TestGateway extends Gateway {
  readonly client: HttpClient;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  adminGet(path: string, headers?: Record<string, string>): Promise<Answer>;
  adminPost(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  adminPut(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Opens a SKU. @throws unless it was new */
  openSku(sku_id: string, leaved_amount: number): Promise<void>;
  /** Sends one order of one line. */
  deduct(line: { sku_id: string; order_detail_id: string; quantity: number }, order_id?: string): Promise<Answer>;
  stop(): Promise<void>;
}

/** The continuous reconciliation is off, so that no statements of its own disturb a test that counts statements. */
const DEFAULTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_RECONCILIATION_ROUND_SECONDS: '0' };

/**
 * Starts a gateway. Early refusals delay the sale of new units on their shards permanently, also for other gateways.
 * So a gateway with `STOCKGATE_PRECHECK` needs shards of its own.
 *
 * @param environment settings beside those of the stack
 * @param on the shards to serve; absent: the shared shards
 * @param decorate wraps the ports of the gateway; absent: no wrapper
 */
export async function startTestGateway(
  environment: NodeJS.ProcessEnv = {},
  on: Pick<Stack, 'environment'> = stack(),
  log: Logger = createLog('silent'),
  decorate: (ports: BackendPorts) => BackendPorts = (ports) => ports,
): Promise<TestGateway> {
  if (on === stack() && environment['STOCKGATE_PRECHECK'] !== undefined)
    throw new TypeError('STOCKGATE_PRECHECK would delay restocks on the shared shards; use precheckedShards()');
  const config = await loadConfig({ ...on.environment, ...DEFAULTS, ...environment });
  const gateway = await startGateway(config, log, decorate);
  const client = httpClient(256);
  const call = (
    method: 'GET' | 'POST' | 'PUT',
    base: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) =>
    client.call({
      method,
      url: base + path,
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
    });
  const adminPut: TestGateway['adminPut'] = (path, body, headers) => call('PUT', gateway.adminUrl, path, body, headers);
  const post: TestGateway['post'] = (path, body, headers) => call('POST', gateway.publicUrl, path, body, headers);
  return {
    ...gateway,
    client,
    post,
    adminPut,
    get: (path, headers) => call('GET', gateway.publicUrl, path, undefined, headers),
    adminGet: (path, headers) => call('GET', gateway.adminUrl, path, undefined, headers),
    adminPost: (path, body, headers) => call('POST', gateway.adminUrl, path, body, headers),
    async openSku(sku_id, leaved_amount) {
      const { status, text } = await adminPut(`/v1/skus/${encodeURIComponent(sku_id)}`, { leaved_amount });
      if (status !== 201) throw new Error(`opening ${sku_id}: ${status} ${text}`);
    },
    deduct: (line, order_id = `order of ${line.order_detail_id}`) =>
      post('/v1/deductions', { order_id, lines: [line] }),
    async stop() {
      client.close();
      await gateway.drain();
    },
  };
}

let counter = 0;

/** An id that no other test uses. */
export function fresh(name: string): string {
  counter += 1;
  return `${name}-${process.pid}-${counter}`;
}
