import type { CartSale, Traces, TransferTrace } from '../../core/lost.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { DIRECTION } from './applyBatch.ts';
import { bytesOf, textOf } from './bytes.ts';

/** They look at whole tables: nobody sells from a restored shard meanwhile, and there is no index for what is asked once a year. */
const CARTS = `
SELECT sku_id, order_detail_id, order_id, attempt, quantity FROM flow FORCE INDEX (PRIMARY)
 WHERE ((sku_id = ? AND order_detail_id > ?) OR sku_id > ?)
   AND attempt > 0 AND status IN ('deducted', 'cancelled') AND created_at >= FROM_UNIXTIME(? / 1000)
 ORDER BY sku_id, order_detail_id LIMIT ?`;
const TRANSFERS = `
SELECT sku_id, transfer_id, direction, amount, is_open FROM transfer
 WHERE other_shard = ? AND created_at >= FROM_UNIXTIME(? / 1000)`;
const LAYOUTS = 'SELECT sku_id, MAX(epoch) AS epoch FROM stock WHERE epoch > 0 GROUP BY sku_id';
const FIND_TRANSFERS = 'SELECT transfer_id FROM transfer WHERE direction = ? AND transfer_id IN (?)';
const READ_LAYOUTS = 'SELECT sku_id, last_epoch FROM hot_sku FORCE INDEX (PRIMARY) WHERE sku_id IN (?)';
/** Far more than a row changes between two backups. */
const YOUNGER = 1_000_000_000;
const YOUNGER_LAYOUT = 1_000_000;

type CartRow = Record<'sku_id' | 'order_detail_id' | 'order_id', Buffer> & { readonly attempt: number; readonly quantity: number };
type TransferRow = Record<'sku_id' | 'transfer_id', Buffer> & { readonly direction: TransferTrace['direction']; readonly amount: number; readonly is_open: number };

/** A page of what carts have sold on a shard, in the order of the flows' keys. @param sinceMs in milliseconds since 1970, by this shard's clock */
export async function readCartSales(connection: Connection, sinceMs: number, after: FlowKey | null, max: number, deadlineMs: DeadlineMs): Promise<CartSale[]> {
  const [sku_id, order_detail_id] = [bytesOf(after?.sku_id ?? ''), bytesOf(after?.order_detail_id ?? '')];
  const rows = await connection.rows<CartRow>(CARTS, [sku_id, order_detail_id, sku_id, sinceMs, max], deadlineMs);
  return rows.map((row) => ({ sku_id: textOf(row.sku_id), order_detail_id: textOf(row.order_detail_id), order_id: textOf(row.order_id), attempt: row.attempt, quantity: row.quantity }));
}

/** What a shard knows of another one. @param sinceMs in milliseconds since 1970, by this shard's clock */
export async function readTraces(connection: Connection, of: ShardIndex, sinceMs: number, deadlineMs: DeadlineMs): Promise<Traces> {
  const transfers = await connection.rows<TransferRow>(TRANSFERS, [of, sinceMs], deadlineMs);
  const layouts = await connection.rows<{ sku_id: Buffer; epoch: number }>(LAYOUTS, [], deadlineMs);
  return {
    transfers: transfers.map((row) => ({ sku_id: textOf(row.sku_id), transfer_id: row.transfer_id.toString('hex'), direction: row.direction, amount: Number(row.amount), isOpen: row.is_open === 1 })),
    layouts: layouts.map((row) => ({ sku_id: textOf(row.sku_id), epoch: row.epoch })),
  };
}

/** Which of some transfers stand on one side. @param transfer_ids at least one */
export async function findTransfers(connection: Connection, transfer_ids: readonly string[], direction: TransferTrace['direction'], deadlineMs: DeadlineMs): Promise<Set<string>> {
  const rows = await connection.rows<{ transfer_id: Buffer }>(FIND_TRANSFERS, [DIRECTION[direction], transfer_ids.map((transfer_id) => Buffer.from(transfer_id, 'hex'))], deadlineMs);
  return new Set(rows.map(({ transfer_id }) => transfer_id.toString('hex')));
}

/** The last layout of some SKUs that has ever been written down here. @param sku_ids at least one */
export async function readLastLayouts(connection: Connection, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<Map<string, number>> {
  const rows = await connection.rows<{ sku_id: Buffer; last_epoch: number }>(READ_LAYOUTS, [sku_ids.map(bytesOf)], deadlineMs);
  return new Map(rows.map(({ sku_id, last_epoch }) => [textOf(sku_id), last_epoch]));
}

/** Makes all rows younger than what caches remember of the ones that are lost: only what is younger takes the place of that. */
export async function makeYounger(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(`UPDATE stock SET version = version + ${YOUNGER}`, [], deadlineMs);
  await connection.run(`UPDATE hot_sku SET revision = revision + ${YOUNGER_LAYOUT}`, [], deadlineMs);
}

/** Keeps SKUs from being sold. @param sku_ids at least one */
export async function pauseSkus(connection: Connection, sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<void> {
  await connection.run("UPDATE stock FORCE INDEX (PRIMARY) SET sale_state = 'paused', version = version + 1 WHERE sku_id IN (?)", [sku_ids.map(bytesOf)], deadlineMs);
}
