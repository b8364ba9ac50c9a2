import type { CartSalesPage, SalePosition } from '../../../core/books/cartSales.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { bytesOf, isText, textOf } from '../text/bytes.ts';
import { transactionOf } from './transactionColumns.ts';
import type { TransactionColumns } from './transactionColumns.ts';

/** No index has the carts, so all flows are read, in ranges of their key. */
const PAGE = (condition: string): string => `
SELECT sku_id, order_detail_id, order_id, attempt, quantity, transaction_id, coordinator
  FROM flow FORCE INDEX (PRIMARY)
 WHERE ((sku_id = ? AND order_detail_id > ?) OR sku_id > ?) AND ${condition}
 ORDER BY sku_id, order_detail_id LIMIT ?`;
/** Flows of either kind of carts, cancelled ones included: they were sold before. */
const SINCE = `(attempt > 0 OR transaction_id IS NOT NULL) AND status IN ('deducted', 'cancelled')
   AND created_at >= FROM_UNIXTIME(? / 1000)`;
const OF_TRANSACTIONS = "transaction_id IS NOT NULL AND status = 'deducted'";

type Row = TransactionColumns &
  Record<'sku_id' | 'order_detail_id' | 'order_id', Buffer> & {
    readonly attempt: number;
    readonly quantity: number;
  };

interface PageQuery {
  /** `next` of the previous page; null: start with the first sale. */
  readonly after: SalePosition | null;
  readonly max: number;
}

/**
 * A page of the sales of carts on a shard, in the order of the flows' keys.
 *
 * @param query.sinceMs in milliseconds since 1970, by this shard's clock
 */
export function readCartSales(
  connection: Connection,
  { sinceMs, ...page }: PageQuery & { readonly sinceMs: number },
  deadlineMs: DeadlineMs,
): Promise<CartSalesPage> {
  return readPage(connection, { sql: SINCE, values: [sinceMs] }, page, deadlineMs);
}

/**
 * A page of the lines that transactions sold and that were not cancelled.
 *
 * @param query.sku_ids at least one; null: all SKUs
 * @param waitMs the longest wait for the answer; if absent, as for any statement
 */
export function readTransactionSales(
  connection: Connection,
  { sku_ids, ...page }: PageQuery & { readonly sku_ids: readonly string[] | null },
  deadlineMs: DeadlineMs,
  waitMs?: number,
): Promise<CartSalesPage> {
  const condition =
    sku_ids === null
      ? { sql: OF_TRANSACTIONS, values: [] }
      : { sql: `${OF_TRANSACTIONS} AND sku_id IN (?)`, values: [sku_ids.map(bytesOf)] };
  return readPage(connection, condition, page, deadlineMs, waitMs);
}

async function readPage(
  connection: Connection,
  condition: { readonly sql: string; readonly values: readonly SqlValue[] },
  { after, max }: PageQuery,
  deadlineMs: DeadlineMs,
  waitMs?: number,
): Promise<CartSalesPage> {
  const sku_id = Buffer.from(after?.skuIdHex ?? '', 'hex');
  const order_detail_id = Buffer.from(after?.orderDetailIdHex ?? '', 'hex');
  const values = [sku_id, order_detail_id, sku_id, ...condition.values, max];
  const rows = await connection.rows<Row>(PAGE(condition.sql), values, deadlineMs, waitMs);
  const last = rows.at(-1);
  const readable = rows.filter((row) => [row.sku_id, row.order_detail_id, row.order_id].every(isText));
  return {
    sales: readable.map(({ attempt, quantity, ...row }) => ({
      ...{ sku_id: textOf(row.sku_id), order_detail_id: textOf(row.order_detail_id), order_id: textOf(row.order_id) },
      ...{ attempt, quantity, ...transactionOf(row) },
    })),
    next:
      last === undefined || rows.length < max
        ? null
        : { skuIdHex: last.sku_id.toString('hex'), orderDetailIdHex: last.order_detail_id.toString('hex') },
  };
}
