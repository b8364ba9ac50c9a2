import type { RowDataPacket } from 'mysql2/promise';
import type mysql from 'mysql2/promise';
import type { Line, CommitDecision } from '../../../src/core/types.ts';
import type { Deduct, HoldLines, CompleteLines } from '../../../src/core/operation.ts';
import type { DeductOutcome } from '../../../src/core/outcome.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import { ShardReader } from '../../../src/mysql/shardReader.ts';
import { ENGINE_OF, openShards } from './engines.ts';
import { startPacketProxy } from '../wire/packetProxy.ts';
import type { PacketProxy } from '../wire/packetProxy.ts';
import { stack } from '../run/setup.ts';
import { addressOf, sideSession } from '../rows/sideSession.ts';

/** The shard of all operations. */
export const SHARD = 9;

/** The batching engine over all shards, with a proxy that counts the packets to one of them. */
export interface BatchBench {
  readonly proxy: PacketProxy;
  readonly shards: readonly Shard[];
  readonly engine: StockEngine;
  readonly reader: ShardReader;
  close(): Promise<void>;
}

export async function openBatchBench(): Promise<BatchBench> {
  const proxy = await startPacketProxy(addressOf(SHARD));
  const shards = openShards({
    ...stack(),
    shards: stack().shards.map((shard, index) =>
      index === SHARD ? { ...shard, address: { ...shard.address, port: proxy.port } } : shard,
    ),
  });
  await Promise.all(shards.map(({ tried }) => tried));
  return {
    proxy,
    shards,
    engine: ENGINE_OF.batching(shards),
    reader: new ShardReader(shards),
    async close() {
      for (const { pool } of shards) pool.close();
      await proxy.close();
    },
  };
}

export function makeLine(sku_id: string, order_detail_id = 'a', quantity = 1): Line {
  return { sku_id, order_detail_id, quantity };
}

export function makeOrder(order_id: string, ...lines: Line[]): Deduct {
  return { kind: 'deduct', order_id, lines };
}

/** A hold of the order `cart`. */
export function makeHold(attempt: number, ...lines: Line[]): HoldLines {
  return { kind: 'hold', order_id: 'cart', attempt, lines };
}

/** The completion of an attempt of a cart on this shard. */
export function makeCompletion(
  attempt: number,
  decision: CommitDecision,
  lines: readonly Line[],
  order_id = 'cart',
): CompleteLines {
  return { kind: 'settle', order_id, attempt, decision, lines };
}

/** The outcome in one word: its kind, or the code of its refusal. */
export function outcomeNameOf(outcome: DeductOutcome | undefined): string {
  return outcome?.is === 'refused' ? outcome.code : (outcome?.is ?? 'nothing');
}

/** Inserts rows of `cart_hold` alone: neither a flow nor a stock row shows these holds. */
export async function insertHoldRows(
  holds: readonly (readonly [sku_id: string, order_detail_id: string, order_id: string])[],
): Promise<void> {
  const session = await sideSession(SHARD);
  const rows = holds.map((ids) => [...ids.map((text) => Buffer.from(text)), 1]);
  await session.query('INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt) VALUES ?', [rows]);
  await session.end();
}

/** Inserts a flow in an open transaction. @returns a function that rolls it back; until then its id is locked */
export async function lockId(sku_id: string, order_detail_id: string): Promise<() => Promise<void>> {
  const session = await sideSession(SHARD);
  await session.beginTransaction();
  await session.query(
    'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES (?, ?, ?, 1)',
    [sku_id, order_detail_id, 'o'].map((text) => Buffer.from(text)),
  );
  return () => rollBack(session);
}

/** Locks the stock row of a SKU in an open transaction. @returns a function that rolls it back */
export async function lockStockRow(sku_id: string): Promise<() => Promise<void>> {
  const session = await sideSession(SHARD);
  await session.beginTransaction();
  await session.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku_id)]);
  return () => rollBack(session);
}

async function rollBack(session: mysql.Connection): Promise<void> {
  await session.rollback();
  await session.end();
}

/** Every row of a SKU, by table, as one text each. */
export async function skuRows(sku_id: string): Promise<unknown> {
  const session = await sideSession(SHARD);
  const bytes = Buffer.from(sku_id);
  const read = async (columns: string, table: string): Promise<unknown> =>
    (
      await session.query<RowDataPacket[]>(`SELECT ${columns} FROM ${table} WHERE sku_id = ? ORDER BY 1, 2`, [bytes])
    )[0].map((row) => Object.values(row).map(String).join(' '));
  const rows = {
    stock: await read('leaved_amount, held_amount', 'stock'),
    flow: await read('order_detail_id, order_id, quantity, returned, attempt, status', 'flow'),
    flow_return: await read('order_detail_id, return_id, quantity', 'flow_return'),
    cart_hold: await read('order_detail_id, order_id', 'cart_hold'),
    adjustment: await read('adjustment_id, delta, reason', 'adjustment'),
  };
  await session.end();
  return rows;
}
