import mysql from 'mysql2/promise';
import { skuOn } from '../engines/traffic.ts';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { eventually } from '../run/eventually.ts';
import type { TwoVersions } from './twoVersions.ts';

/** Which protocols orders over several shards have used. */
export interface UsedProtocols {
  /** Transactions whose lines are on one server. */
  readonly onOneServer: number;
  readonly overServers: number;
  /** Lines that a transaction holds now. */
  readonly held: number;
  /** Transactions that were recorded as aborted, and not deleted yet. */
  readonly aborted: number;
  /** Carts with attempts, the older protocol. */
  readonly carts: number;
}

/** Reads the protocols from the rows: sold lines keep the id of their transaction. */
export async function usedProtocols(system: TwoVersions): Promise<UsedProtocols> {
  const addresses = (await system.own.load()).map(({ address }) => `${address.host}:${address.port}`);
  const serversOf = new Map<string, Set<string>>();
  await system.onEachShard(
    'SELECT DISTINCT HEX(transaction_id) AS id FROM flow WHERE transaction_id IS NOT NULL',
    (rows, shard) => {
      for (const { id } of rows)
        serversOf.set(String(id), (serversOf.get(String(id)) ?? new Set()).add(addresses[shard] ?? ''));
    },
  );
  const count = async (sql: string): Promise<number> =>
    (await system.onEachShard(`SELECT COUNT(*) AS number FROM ${sql}`, ([row]) => Number(row?.['number']))).reduce(
      (sum, number) => sum + number,
    );
  const sizes = [...serversOf.values()].map(({ size }) => size);
  return {
    onOneServer: sizes.filter((size) => size === 1).length,
    overServers: sizes.filter((size) => size > 1).length,
    held: await count('cart_hold WHERE transaction_id IS NOT NULL'),
    aborted: await count("order_record WHERE state = 'aborted'"),
    carts: await count('cart'),
  };
}

/**
 * Sends an order over two servers to a gateway, and kills the gateway when it holds the line on the first server: the
 * line on the second one is locked.
 *
 * @param sku_ids a SKU on each of two servers, which no other order names
 */
export async function killWithOpenCart(
  system: TwoVersions,
  gateway: GatewayProcess,
  order_id: string,
  [first, second]: readonly [{ shard: number; sku_id: string }, { shard: number; sku_id: string }],
): Promise<void> {
  const address = (await system.own.load())[second.shard]?.address;
  if (address === undefined) throw new RangeError(`there is no shard ${second.shard}`);
  const { host, port, user, password, schema } = address;
  const lock = await mysql.createConnection({ host, port, user, password, database: schema });
  try {
    await lock.beginTransaction();
    await lock.query('SELECT version FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(second.sku_id)]);
    const sent = system.deduct(gateway, order_id, first.sku_id, second.sku_id).catch(() => null);
    await eventually('the line on the first server is held', 3_000, async () => {
      const [hold] = await system.own.query(
        first.shard,
        `SELECT COUNT(*) AS number FROM cart_hold WHERE order_id = '${order_id}'`,
      );
      return Number(hold?.['number']) === 1;
    });
    gateway.signal('SIGKILL');
    await Promise.all([gateway.exited, sent]);
  } finally {
    await lock.end();
  }
}

/** A SKU on each of two servers, for shards that are on two servers in turn. */
export function skusOnTwoServers(
  prefix: string,
  shards: number,
): readonly [{ shard: number; sku_id: string }, { shard: number; sku_id: string }] {
  const on = (shard: number) => ({ shard, sku_id: skuOn(shard, prefix, shards) });
  return [on(0), on(1)];
}
