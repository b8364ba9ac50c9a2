import type { CartKey, DeadlineMs, FlowKey } from '../../../core/types.ts';
import type { SoldFlow } from '../../../core/books/reconciliation.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { scopeOf } from '../books/readBalances.ts';
import { transactionOf } from '../carts/transactionColumns.ts';
import type { TransactionColumns } from '../carts/transactionColumns.ts';

/** Only the columns that are used: there may be millions of rows. */
const COLUMNS = 'sku_id, order_detail_id, order_id, attempt, quantity, status, transaction_id, coordinator';
/**
 * In a list of rows each flow is searched; with alternatives each flow found would be compared with every one of them.
 */
const BY_KEY = `SELECT ${COLUMNS} FROM flow FORCE INDEX (PRIMARY) WHERE (sku_id, order_detail_id) IN (?)`;
/** A flow of a transaction has no attempt, and belongs to no cart with one. */
const SOLD_BY = "status = 'deducted' AND transaction_id IS NULL AND (order_id, attempt) IN (?)";

type Row = Omit<SoldFlow, 'sku_id' | 'order_detail_id' | 'order_id' | 'transaction'> &
  TransactionColumns & {
    readonly sku_id: Buffer;
    readonly order_detail_id: Buffer;
    readonly order_id: Buffer;
  };

/** Flows as they are committed; takes no lock and waits for none. @param keys at least one */
export async function readFlowsByKey(
  connection: Connection,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<SoldFlow[]> {
  return read(connection, BY_KEY, [keys.map((key) => [bytesOf(key.sku_id), bytesOf(key.order_detail_id)])], deadlineMs);
}

/**
 * The flows of what some carts with attempts sold. No index has this order, so all flows are read.
 *
 * @param carts at least one
 * @param sku_ids null: all
 */
export async function findFlowsOfCarts(
  connection: Connection,
  carts: readonly CartKey[],
  sku_ids: readonly string[] | null,
  deadlineMs: DeadlineMs,
): Promise<SoldFlow[]> {
  const scope = scopeOf(sku_ids);
  const sql = `SELECT ${COLUMNS} FROM (SELECT * FROM flow${scope.sql}) AS flow WHERE ${SOLD_BY}`;
  return read(
    connection,
    sql,
    [...scope.values, carts.map(({ order_id, attempt }) => [bytesOf(order_id), attempt])],
    deadlineMs,
  );
}

async function read(
  connection: Connection,
  sql: string,
  values: readonly SqlValue[],
  deadlineMs: DeadlineMs,
): Promise<SoldFlow[]> {
  const rows = await connection.rows<Row>(sql, values, deadlineMs);
  return rows.map(({ transaction_id, coordinator, ...row }) => ({
    ...row,
    ...transactionOf({ transaction_id, coordinator }),
    sku_id: textOf(row.sku_id),
    order_detail_id: textOf(row.order_detail_id),
    order_id: textOf(row.order_id),
  }));
}
