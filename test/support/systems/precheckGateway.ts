import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { PRECHECK_READY } from '../../../scripts/support/tiers.ts';
import type { Address } from '../../../src/mysql/connection/connection.ts';
import { eventually } from '../run/eventually.ts';
import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { ownShards } from '../rows/ownShards.ts';
import type { OwnShards } from '../rows/ownShards.ts';

/** Shards for one test, on which early refusals are allowed at once: no gateway runs that does not support them. */
export async function precheckedShards(count: number): Promise<OwnShards> {
  const shards = await ownShards({ count, migrated: true });
  for (let shard = 0; shard < count; shard += 1) {
    await shards.query(shard, `UPDATE precheck SET ${PRECHECK_READY}`);
  }
  return shards;
}

/** Opens a SKU and sells all of it, one unit at a time. @returns the ids */
export async function sellOut(gateway: TestGateway, sku_id: string, units: number): Promise<string[]> {
  await gateway.openSku(sku_id, units);
  const ids = Array.from({ length: units }, (_, number) => `sold-${number}`);
  // A busy machine may reject some orders at first.
  await Promise.all(
    ids.map((order_detail_id) =>
      eventually(
        'it is sold',
        10_000,
        async () => (await gateway.deduct({ sku_id, order_detail_id, quantity: 1 })).status < 300,
      ),
    ),
  );
  return ids;
}

/** Waits until a gateway serves all its shards; on a busy machine the first connections take time. */
export function allServe(gateway: TestGateway): Promise<void> {
  return eventually('all shards serve', 20_000, async () => {
    const { body } = await gateway.adminGet('/v1/shards');
    return (body?.shards as { state: string }[] | undefined)?.every(({ state }) => state === 'serving') === true;
  });
}

let sent = 0;

/** Sends orders for a SKU until the gateway refuses one without its shard. */
export async function refusedEarly(gateway: TestGateway, sku_id: string, tier = 'memory'): Promise<void> {
  await eventually(`${tier} refuses`, 10_000, async () => {
    const before = await refusedBy(gateway, tier);
    sent += 1;
    const { status, body, text } = await gateway.deduct({ sku_id, order_detail_id: `early-${sent}`, quantity: 1 });
    if (status === 503) return false;
    expect(body, text).to.include({ code: 'insufficient_stock' });
    return (await refusedBy(gateway, tier)) > before;
  });
}

/**
 * Sells a SKU out at three gateways, restocks it and sells a unit through one of them. The other gateways do not see
 * the reply.
 *
 * @param tier the tier by which the other gateways must have refused before.
 * @throws when another gateway refuses the same ids. Also when the unit is sold before the readings of the sell-out are
 * too old, and when one of the gateways does not sell a unit within two seconds.
 */
export async function restockAfterSellOut(
  gateways: readonly TestGateway[],
  round: number,
  tier = 'memory',
): Promise<void> {
  const at = (gateway: number): TestGateway => gateways[gateway % gateways.length] as TestGateway;
  const sku_id = fresh('restocked');
  const [seller, other, third] = [at(round), at(round + 1), at(round + 2)];
  await sellOut(at(0), sku_id, 2);
  await Promise.all([refusedEarly(other, sku_id, tier), refusedEarly(third, sku_id, tier)]);
  // Orders are sent all the time, so that the readings of these gateways are as recent as possible.
  let isOver = false;
  const sending = (async () => {
    for (let number = 0; !isOver; number += 1) {
      await Promise.all(
        [other, third].map((each) =>
          each.deduct({ sku_id, order_detail_id: `sent-${number}-${each === other}`, quantity: 9 }),
        ),
      );
      await sleep(10);
    }
  })();
  const began = performance.now();
  expect(
    (
      await at(round % 2).adminPost(`/v1/skus/${encodeURIComponent(sku_id)}/adjustments`, {
        adjustment_id: 'more',
        delta: 3,
      })
    ).status,
  ).to.equal(201);
  const line = { sku_id, order_detail_id: 'wanted', quantity: 1 };
  // The reply counts as lost: the same ids go to the other gateways.
  await eventually('it is sold again', 10_000, async () => (await seller.deduct(line)).status === 201);
  const soldMs = performance.now() - began;
  const again = await Promise.all([other.deduct(line), third.deduct(line)]);
  isOver = true;
  await sending;
  for (const { status, text } of again) expect(status, text).to.equal(200);
  expect(soldMs, 'sold while other gateways could still read it as sold out').to.be.above(900);
  await Promise.all(
    [other, third].map((each) =>
      eventually(
        'it is sold here too',
        2_000,
        async () =>
          (await each.deduct({ sku_id, order_detail_id: `here ${each === other}`, quantity: 1 })).status < 300,
      ),
    ),
  );
}

/** The number of orders that a tier of a gateway has refused. */
export async function refusedBy(gateway: TestGateway, tier: string): Promise<number> {
  const { text } = await gateway.adminGet('/metrics');
  return Number(new RegExp(`^stockgate_precheck_refused_total\\{tier="${tier}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** Runs one statement on a server, under an account that has all rights. */
export async function askServer(
  { host, port, user, password }: Pick<Address, 'host' | 'port' | 'user' | 'password'>,
  sql: string,
): Promise<unknown> {
  const connection = await mysql.createConnection({ host, port, user, password });
  try {
    return await connection.query(sql);
  } finally {
    await connection.end();
  }
}
