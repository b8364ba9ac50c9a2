import type { Books } from '../../src/core/books/books.ts';
import { flowKeyText } from '../../src/core/types.ts';
import type { FlowKey } from '../../src/core/types.ts';
import { readBooks } from '../support/books.ts';
import { inParallel } from '../support/inParallel.ts';
import type { Stack } from '../support/stack.ts';
import type { StoredFlow, StoredFlows } from './carts.ts';
import { bearer } from './sender.ts';
import { bookSums, readStoredFlows, waitForNoHolds } from './shardTables.ts';
import type { Target } from './target.ts';

/** Reads the stored state, from the databases or from the gateway. */
export interface StockInspector {
  /** Waits until no cart is open. @returns a sentence on remaining holds and open carts, if there are any */
  untilNoOpenCarts(): Promise<string[]>;
  /** The stored flows with these keys, and possibly more. */
  flows(keys: readonly FlowKey[]): Promise<StoredFlows>;
  /** One text for each part of the stored state: equal when nothing was changed. */
  sums(keys: readonly FlowKey[], sku_ids: readonly string[]): Promise<readonly string[]>;
  /** The books of each shard; null where they cannot be read. */
  books(): Promise<readonly Books[] | null>;
}

const SETTLE_MS = 20_000;
const READERS = 16;
const KEYS_MAX = 500;

/** Reads the databases. */
export function databaseInspector(databases: Pick<Stack, 'shards' | 'initialShards'>): StockInspector {
  const { shards } = databases;
  return {
    async untilNoOpenCarts() {
      const held = await waitForNoHolds(shards, SETTLE_MS);
      return held === 0 ? [] : [`${held} holds and open carts remain after ${SETTLE_MS / 1_000} s`];
    },
    flows: () => readStoredFlows(shards),
    sums: () => bookSums(shards),
    books: () => readBooks(databases),
  };
}

/** Reads the gateway itself, where its databases cannot be reached. */
export function gatewayInspector(target: Target): StockInspector {
  const flows: StockInspector['flows'] = (keys) => lookUp(target, keys);
  return {
    untilNoOpenCarts: () => Promise.resolve([]),
    flows,
    async sums(keys, sku_ids) {
      const left = await readLeft(target, sku_ids);
      return [
        ...[...left].map(([sku_id, units]) => `${sku_id}: ${units} left`),
        ...[...(await flows(keys))].map(([key, flow]) => `${key.replace('\0', ' ')}: ${JSON.stringify(flow)}`),
      ];
    },
    books: () => Promise.resolve(null),
  };
}

/** Reads from the gateway the units left of each SKU. */
export async function readLeft(
  { client, gateways, tokens }: Target,
  sku_ids: readonly string[],
): Promise<Map<string, number>> {
  const left = new Map<string, number>();
  await inParallel(sku_ids, READERS, async (sku_id) => {
    const { status, text, body } = await client.call({
      method: 'GET',
      url: `${gateways[0]}/v1/skus/${encodeURIComponent(sku_id)}`,
      headers: bearer(tokens.public),
    });
    if (status !== 200) throw new Error(`reading ${sku_id}: ${status} ${text}`);
    left.set(sku_id, Number(body?.leaved_amount));
  });
  return left;
}

async function lookUp({ client, gateways, tokens }: Target, keys: readonly FlowKey[]): Promise<StoredFlows> {
  const chunks = Array.from({ length: Math.ceil(keys.length / KEYS_MAX) }, (_, index) =>
    keys.slice(index * KEYS_MAX, (index + 1) * KEYS_MAX),
  );
  const found = new Map<string, StoredFlow>();
  await inParallel(chunks, READERS, async (chunk) => {
    const lines = chunk.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
    const { status, text, body } = await client.call({
      method: 'POST',
      url: `${gateways[0]}/v1/deductions/lookup`,
      body: { lines },
      headers: bearer(tokens.public),
    });
    if (status !== 200) throw new Error(`looking up ${chunk.length} lines: ${status} ${text}`);
    const readFailures = body.lines.filter((line: { status: string }) => line.status === 'unavailable');
    if (readFailures.length > 0)
      throw new Error(
        `looking up ${chunk.length} lines: ${readFailures.length} were not read, ` +
          `the first is ${JSON.stringify(readFailures[0])}`,
      );
    for (const { status: is, order_id, quantity, returned, ...key } of body.lines) {
      if (is !== 'none') found.set(flowKeyText(key), { order_id, quantity, returned, status: is });
    }
  });
  // In the order of `keys`, so that two readings can be compared.
  return new Map(
    keys.map(flowKeyText).flatMap((key) => (found.has(key) ? [[key, found.get(key) as StoredFlow] as const] : [])),
  );
}
