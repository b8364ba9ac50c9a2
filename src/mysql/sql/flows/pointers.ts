import type { ExistingId, IdPage } from '../../../core/ports/hotRows.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf, isText, quotedBytes, textOf } from '../text/bytes.ts';
import { FLOW_STATUS } from './insertFlows.ts';
import { hexOf, jsonOf } from '../text/json.ts';

const STANDING = `
SELECT sku_id, order_detail_id, moved_to FROM flow FORCE INDEX (PRIMARY)
 WHERE (sku_id, order_detail_id) IN (?) AND status <> 'void'`;
const IDS = `
SELECT order_detail_id, status FROM flow FORCE INDEX (PRIMARY)
 WHERE sku_id = ? AND order_detail_id > ? ORDER BY order_detail_id LIMIT ?`;
/** The time of pointers, which is before any entry: so a journal ends above them, however many there are. */
export const POINTERS_TIME = '1970-01-02';
const POINT = `
INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, status, moved_to, created_at)
SELECT ?, UNHEX(w.order_detail_id), '', 0, ${FLOW_STATUS.moved}, ?, '${POINTERS_TIME}'
  FROM (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (order_detail_id VARCHAR(128) PATH '$[0]')) AS j) AS w
ON DUPLICATE KEY UPDATE created_at = IF(flow.status = 'void', VALUES(created_at), flow.created_at),
  status = IF(flow.status = 'void', VALUES(status), flow.status),
  moved_to = IF(flow.status = 'moved', VALUES(moved_to), flow.moved_to)`;

/** Those of some ids that exist; takes no lock and waits for none. @param keys at least one */
export async function findStandingIds(
  connection: Connection,
  shard: ShardIndex,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<ExistingId[]> {
  const values = keys.map((key) => [bytesOf(key.sku_id), bytesOf(key.order_detail_id)]);
  const rows = await connection.rows<{ sku_id: Buffer; order_detail_id: Buffer; moved_to: number | null }>(
    STANDING,
    [values],
    deadlineMs,
  );
  return rows.map((row) => ({
    sku_id: textOf(row.sku_id),
    order_detail_id: textOf(row.order_detail_id),
    shard: row.moved_to ?? shard,
  }));
}

/**
 * A page of a SKU's ids on a shard, in the order of their bytes.
 *
 * @param after the hexadecimal digits of the last page's last id
 */
export async function readIds(
  connection: Connection,
  sku_id: string,
  after: string,
  max: number,
  deadlineMs: DeadlineMs,
): Promise<IdPage & { readonly unreadable: readonly string[] }> {
  const rows = await connection.rows<{ order_detail_id: Buffer; status: string }>(
    IDS,
    [bytesOf(sku_id), Buffer.from(after, 'hex'), max],
    deadlineMs,
  );
  const last = rows.at(-1);
  const idsIn = (...wanted: string[]): string[] =>
    rows.flatMap(({ status, order_detail_id: id }) => (wanted.includes(status) && isText(id) ? [textOf(id)] : []));
  return {
    ids: idsIn('deducted', 'cancelled'),
    pending: idsIn('pending'),
    next: rows.length < max || last === undefined ? null : last.order_detail_id.toString('hex'),
    unreadable: rows.flatMap(({ order_detail_id: id }) => (isText(id) ? [] : [quotedBytes(id)])),
  };
}

/**
 * Writes pointers for ids without a flow, or with the flow of an undone hold.
 *
 * @param ids at least one, in byte order
 */
export async function insertPointers(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  ids: readonly string[],
  movedTo: ShardIndex,
): Promise<void> {
  await transaction.run(POINT, [bytesOf(sku_id), movedTo, jsonOf(ids.map((id) => [hexOf(id)]))]);
}
