import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { READY } from '../../scripts/support/tiers.ts';
import type { Address } from '../../src/mysql/connection.ts';
import { eventually } from './eventually.ts';
import type { TestGateway } from './gateway.ts';
import { ownShards } from './ownShards.ts';
import type { OwnShards } from './ownShards.ts';

/** Shards of a test's own on which early refusals may be made at once: nobody is there who would not know of them. */
export async function precheckedShards(count: number): Promise<OwnShards> {
  const shards = await ownShards({ count, migrated: true });
  for (let shard = 0; shard < count; shard += 1) {
    await shards.query(shard, `UPDATE precheck SET ${READY}`);
  }
  return shards;
}

/** Opens a SKU and sells all of it, one unit at a time. @returns the ids */
export async function sellOut(gateway: TestGateway, sku_id: string, units: number): Promise<string[]> {
  await gateway.openSku(sku_id, units);
  const ids = Array.from({ length: units }, (_, number) => `sold-${number}`);
  // On a busy machine some may be turned away at first.
  await Promise.all(ids.map((order_detail_id) => eventually('it is sold', 10_000, async () => (await gateway.deduct({ sku_id, order_detail_id, quantity: 1 })).status < 300)));
  return ids;
}

/** Waits until a gateway serves all its shards; on a busy machine the first connections take their time. */
export function allServe(gateway: TestGateway): Promise<void> {
  return eventually('all shards serve', 20_000, async () => {
    const { body } = await gateway.adminGet('/v1/shards');
    return (body?.shards as { state: string }[] | undefined)?.every(({ state }) => state === 'serving') === true;
  });
}

let asked = 0;

/** Asks for a SKU until the gateway refuses it without its shard. */
export async function refusedEarly(gateway: TestGateway, sku_id: string, tier = 'memory'): Promise<void> {
  await eventually(`${tier} refuses`, 10_000, async () => {
    const before = await refusedBy(gateway, tier);
    asked += 1;
    const { status, body, text } = await gateway.deduct({ sku_id, order_detail_id: `early-${asked}`, quantity: 1 });
    if (status === 503) return false;
    expect(body, text).to.include({ code: 'insufficient_stock' });
    return (await refusedBy(gateway, tier)) > before;
  });
}

/** How many orders a tier of a gateway has refused. */
export async function refusedBy(gateway: TestGateway, tier: string): Promise<number> {
  const { text } = await gateway.adminGet('/metrics');
  return Number(new RegExp(`^stockgate_precheck_refused_total\\{tier="${tier}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** Has a server run one statement, as whoever may everything. */
export async function askServer({ host, port, user, password }: Pick<Address, 'host' | 'port' | 'user' | 'password'>, sql: string): Promise<unknown> {
  const connection = await mysql.createConnection({ host, port, user, password });
  try {
    return await connection.query(sql);
  } finally {
    await connection.end();
  }
}
