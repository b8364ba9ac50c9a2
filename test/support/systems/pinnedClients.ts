import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpClient } from '../../../scripts/support/httpClient.ts';

const RETRY_MS = 100;

/** One attempt of a request, with its outcome. */
export interface Attempt {
  readonly shard: number;
  readonly sku_id: string;
  readonly order_detail_id: string;
  readonly status: number;
  readonly code: string | null;
  readonly ms: number;
}

export interface PinnedClients {
  readonly attempts: readonly Attempt[];
  /** Lets every client finish its current request. */
  stop(): Promise<void>;
}

/**
 * Starts clients that each buy from one shard only, one request after the other, with ids that were never used before.
 * A shard that hangs then delays its own clients only, and does not change the rate of the others.
 *
 * @param sku_ids one per shard, in their order
 */
export function startPinnedClients(options: {
  readonly client: HttpClient;
  readonly publicUrl: string;
  readonly sku_ids: readonly string[];
  readonly clientsPerShard: number;
}): PinnedClients {
  const attempts: Attempt[] = [];
  let running = true;
  const buy = async (shard: number, sku_id: string, clientNumber: number): Promise<void> => {
    for (let number = 0; running; number += 1) {
      const order_detail_id = `detail-${shard}-${clientNumber}-${number}`;
      const startedMs = performance.now();
      const { status, body } = await options.client.call({
        method: 'POST',
        url: `${options.publicUrl}/v1/deductions`,
        body: { order_id: `order-${order_detail_id}`, lines: [{ order_detail_id, sku_id, quantity: 1 }] },
      });
      const ms = performance.now() - startedMs;
      // `Retry-After` asks for a longer pause. Without a pause these clients would take the processor from the others.
      if (status === 503) await sleep(RETRY_MS);
      attempts.push({ shard, sku_id, order_detail_id, status, code: body?.code ?? null, ms });
    }
  };
  const clients = options.sku_ids.flatMap((sku_id, shard) =>
    Array.from({ length: options.clientsPerShard }, (_, clientNumber) => buy(shard, sku_id, clientNumber)),
  );
  return {
    attempts,
    async stop() {
      running = false;
      await Promise.all(clients);
    },
  };
}
