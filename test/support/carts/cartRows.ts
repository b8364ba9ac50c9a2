import type { RowDataPacket } from 'mysql2/promise';
import { flowKeyText } from '../../../src/core/types.ts';
import type { FlowKey, Line } from '../../../src/core/types.ts';
import { groupByShard } from '../../../src/core/groupByShard.ts';
import { SlotMap } from '../../../src/core/slots.ts';
import { eventually } from '../run/eventually.ts';
import { sideSession } from '../rows/sideSession.ts';

const SHARDS = 16;

interface CartFlow extends FlowKey {
  readonly status: string;
  readonly attempt: number;
}

/** The rows of some SKUs on the shards, read by a separate session. */
export interface CartRows {
  /** By `flowKeyText`. */
  readonly flows: ReadonlyMap<string, CartFlow>;
  readonly stock: ReadonlyMap<string, { readonly leaved: number; readonly held: number }>;
  readonly holds: number;
}

/** Reads flows, stock and holds of some SKUs. */
export async function cartRows(sku_ids: readonly string[]): Promise<CartRows> {
  const all = await onShardsOf(sku_ids, async (query, own) => ({
    flows: await query(
      `SELECT CONVERT(sku_id USING utf8mb4) AS sku_id, CONVERT(order_detail_id USING utf8mb4) AS order_detail_id,
              status, attempt
         FROM flow WHERE sku_id IN (?)`,
      [own],
    ),
    stock: await query(
      `SELECT CONVERT(sku_id USING utf8mb4) AS sku_id, leaved_amount AS leaved, held_amount AS held
         FROM stock WHERE sku_id IN (?)`,
      [own],
    ),
    holds: await query('SELECT sku_id FROM cart_hold WHERE sku_id IN (?)', [own]),
  }));
  return {
    flows: new Map(
      all.flatMap(({ flows }) => (flows as unknown as CartFlow[]).map((flow) => [flowKeyText(flow), flow])),
    ),
    stock: new Map(
      all.flatMap(({ stock }) =>
        stock.map(({ sku_id, leaved, held }) => [sku_id as string, { leaved: Number(leaved), held: Number(held) }]),
      ),
    ),
    holds: all.reduce((sum, { holds }) => sum + holds.length, 0),
  };
}

/** The states of an order's records, by attempt. */
export async function recordsOf(order_id: string): Promise<string[]> {
  const [states] = await onShardsOf([order_id], (query, ids) =>
    query('SELECT state FROM cart WHERE order_id IN (?) ORDER BY attempt', [ids]),
  );
  return (states ?? []).map(({ state }) => state as string);
}

/**
 * The commit decisions of an order, of either protocol: the states of its cart records by attempt, then those of the
 * records of its transactions, `aborted` first. A transaction has no record before it is decided.
 *
 * @param sku_ids SKUs on the shards that may have coordinated it
 */
export async function decisionsOf(order_id: string, sku_ids: readonly string[]): Promise<string[]> {
  const found = await onShardsOf(sku_ids, (query) =>
    query('SELECT state FROM order_record WHERE order_id = ?', [Buffer.from(order_id)]),
  );
  const ofTransactions = found.flat().map(({ state }) => state as string);
  return [...(await recordsOf(order_id)), ...ofTransactions.sort()];
}

/** Sweeps until nothing is held: one sweep takes a part of the holds of all tests, and may miss a busy shard. */
export async function sweepUntilFree(
  sweep: () => Promise<unknown>,
  sku_ids: readonly string[],
  waitMs: number,
): Promise<void> {
  await eventually('the sweeper has completed the holds', waitMs, async () => {
    await sweep();
    return nothingHeld(sku_ids, 1).then(
      () => true,
      () => false,
    );
  });
}

/** Waits until no unit of some SKUs is held, by their stock rows and by the table `cart_hold`. */
export async function nothingHeld(sku_ids: readonly string[], waitMs: number): Promise<void> {
  await eventually('nothing is held', waitMs, async () => {
    const { holds, stock } = await cartRows(sku_ids);
    return holds === 0 && [...stock.values()].every(({ held }) => held === 0);
  });
}

/**
 * Makes records and holds older by this many minutes on the clocks of their shards. A number below 0 makes them look as
 * if those clocks had been set back.
 */
export async function age(
  { order_ids, sku_ids }: { readonly order_ids: readonly string[]; readonly sku_ids: readonly string[] },
  minutes = 1,
): Promise<void> {
  const past = `created_at = created_at - INTERVAL ${minutes} MINUTE`;
  if (order_ids.length > 0)
    await onShardsOf(order_ids, (query, ids) => query(`UPDATE cart SET ${past} WHERE order_id IN (?)`, [ids]));
  if (sku_ids.length > 0)
    await onShardsOf(sku_ids, (query, ids) => query(`UPDATE cart_hold SET ${past} WHERE sku_id IN (?)`, [ids]));
}

/** The end of an order: the status of every line, and `none` for a line without a flow or with an undone one. */
export function endsOf({ flows }: CartRows, keys: readonly FlowKey[]): string[] {
  return keys.map((key) => {
    const flow = flows.get(flowKeyText(key));
    return flow === undefined || flow.status === 'void' ? 'none' : flow.status;
  });
}

export function linesOf(sku_ids: readonly string[], order_detail_id: string, quantity = 1): Line[] {
  return sku_ids.map((sku_id) => ({ sku_id, order_detail_id, quantity }));
}

type Query = (sql: string, values: unknown[]) => Promise<RowDataPacket[]>;

async function onShardsOf<T>(ids: readonly string[], work: (query: Query, own: Buffer[]) => Promise<T>): Promise<T[]> {
  const byShard = groupByShard(
    ids.map((sku_id) => ({ sku_id })),
    new SlotMap(SHARDS),
  );
  return Promise.all(
    [...byShard].map(async ([shard, own]) => {
      const session = await sideSession(shard);
      await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      try {
        const query: Query = async (sql, values) => (await session.query<RowDataPacket[]>(sql, values))[0];
        return await work(
          query,
          own.map(({ sku_id }) => Buffer.from(sku_id)),
        );
      } finally {
        session.destroy();
      }
    }),
  );
}
