import { readFileSync } from 'node:fs';
import { loadShards } from '../../src/config/shardsFile.ts';
import { startGatewayProcess } from '../support/gatewayProcess.ts';
import { httpClient } from '../support/httpClient.ts';
import type { HttpClient } from '../support/httpClient.ts';
import { inParallel } from '../support/inParallel.ts';
import { startStack } from '../support/stack.ts';
import type { Stack } from '../support/stack.ts';
import { enablePrecheckNow, startOwnRedis, tierEnvironment } from '../support/tiers.ts';
import { Sender } from './sender.ts';

/** The gateways that a file is sent to. */
export interface Target {
  /** The product, for messages. */
  readonly product: string;
  readonly client: HttpClient;
  /** Public listeners; each of them accepts any request. */
  readonly gateways: readonly string[];
  readonly adminUrl: string;
  /** The bearer token for each listener; undefined where none is required. */
  readonly tokens: { readonly public: string | undefined; readonly admin: string | undefined };
  /** The databases; null where they cannot be reached. */
  readonly databases: Pick<Stack, 'shards' | 'initialShards'> | null;
}

interface Stoppable {
  stop(): Promise<unknown>;
}

export interface OwnOptions {
  readonly servers: number;
  readonly dataDirectory: string;
  /** Keep the data under this name. */
  readonly keep: string | undefined;
  readonly concurrency: number;
  /** The tiers of the pre-check: memory, redis, replica, comma separated; empty: none. */
  readonly tiers: string;
  readonly say: (line: string) => void;
  /** Called for each part as soon as it was started. The caller stops the parts in reverse order. */
  readonly onStarted: (part: Stoppable) => void;
}

const GATEWAYS = 2;
const OPENERS = 16;

/** Starts and migrates servers, then starts the servers that the tiers need, and two gateways. */
export async function startTarget({
  servers,
  dataDirectory,
  keep,
  concurrency,
  tiers,
  say,
  onStarted,
}: OwnOptions): Promise<Target> {
  // Another number of servers distributes the shards differently, so it has data of its own.
  const kept = keep === undefined ? {} : { keep: `replay_${keep}_${servers}` };
  const stack = await startStack({
    servers,
    dataDirectory,
    onProgress: say,
    ...kept,
    ...(tiers.includes('replica') ? { replicas: 1 } : {}),
  });
  onStarted(stack);
  const redis = tiers.includes('redis') ? await startOwnRedis(dataDirectory, say) : null;
  if (redis !== null) onStarted(redis);
  if (tiers !== '') await enablePrecheckNow(stack);
  say(`starting ${GATEWAYS} gateways`);
  const environment = {
    ...stack.environment,
    ...tierEnvironment(tiers, redis),
    PORT: '0',
    ADMIN_PORT: '0',
    STOCKGATE_LOG_LEVEL: process.env['STOCKGATE_LOG_LEVEL'] || 'error',
  };
  const starts = await Promise.allSettled(Array.from({ length: GATEWAYS }, () => startGatewayProcess(environment)));
  const gateways = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  gateways.forEach(onStarted);
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const client = httpClient(concurrency);
  onStarted({ stop: () => Promise.resolve(client.close()) });
  return {
    product: `${stack.cluster.product}, ${GATEWAYS} gateways${tiers === '' ? '' : `, tiers ${tiers}`}`,
    client,
    gateways: gateways.map(({ publicUrl }) => publicUrl),
    adminUrl: gateways[0]?.adminUrl ?? '',
    tokens: tokens(),
    databases: stack,
  };
}

/**
 * Uses a running gateway.
 *
 * @param urls public listeners, comma separated
 * @param shardsFile lists its shards; undefined: only the gateway itself is read
 */
export async function useTarget(
  urls: string,
  adminUrl: string,
  shardsFile: string | undefined,
  concurrency: number,
): Promise<Target> {
  return {
    product: urls,
    client: httpClient(concurrency),
    gateways: urls.split(',').map(withoutSlash),
    adminUrl: withoutSlash(adminUrl),
    tokens: tokens(),
    databases: shardsFile === undefined ? null : await loadShards(shardsFile, process.env),
  };
}

/** Opens the SKUs with their stock; a SKU that exists with the same opening stock is left as it is. */
export async function openSkus(
  { client, adminUrl, tokens }: Target,
  opening: ReadonlyMap<string, number>,
): Promise<void> {
  const sender = new Sender({ client, gateways: [adminUrl], token: tokens.admin });
  await inParallel([...opening], OPENERS, async ([sku_id, leaved_amount]) => {
    const message = {
      method: 'PUT',
      path: `/v1/skus/${encodeURIComponent(sku_id)}`,
      body: { leaved_amount },
      what: `opening ${sku_id}`,
    } as const;
    const { status, text, body } = await sender.untilFinalAnswer(message, 0);
    if (body?.code === 'sku_exists') {
      throw new Error(
        `${sku_id} exists with another opening stock than ${leaved_amount}: ` +
          'the kept data belong to another file, --carts or --stock-factor',
      );
    }
    if (status !== 201 && status !== 200) throw new Error(`opening ${sku_id}: ${status} ${text}`);
  });
}

/** The first token that each listener accepts, from the variables that the gateway reads too. */
function tokens(): Target['tokens'] {
  return { public: tokenOf('STOCKGATE_TOKENS'), admin: tokenOf('STOCKGATE_ADMIN_TOKENS') };
}

function tokenOf(variable: string): string | undefined {
  const file = process.env[`${variable}_FILE`];
  const list = file ? readFileSync(file, 'utf8') : (process.env[variable] ?? '');
  return list
    .split(file ? '\n' : ',')
    .map((token) => token.trim())
    .find((token) => token !== '');
}

function withoutSlash(url: string): string {
  return url.trim().replace(/\/+$/, '');
}
