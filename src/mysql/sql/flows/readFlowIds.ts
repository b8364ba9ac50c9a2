import { NAMED_FLOWS_MAX } from '../../../core/books/reconciliation.ts';
import type { Snapshot } from '../../connection/snapshot.ts';
import { bytesOf, textOf } from '../text/bytes.ts';

const NEWEST = `
SELECT order_detail_id FROM flow FORCE INDEX (by_time)
 WHERE sku_id = ? AND status IN ('deducted', 'cancelled', 'pending') AND quantity > 0
 ORDER BY created_at DESC, order_detail_id DESC LIMIT ${NAMED_FLOWS_MAX}`;
const PENDING = `
SELECT order_detail_id FROM flow WHERE sku_id = ? AND status = 'pending'
 ORDER BY order_detail_id LIMIT ${NAMED_FLOWS_MAX}`;

/** The flows behind an amount of a stock row: the newest that took units from it, or those that hold units. */
export async function readFlowIds(snapshot: Snapshot, sku_id: string, which: 'newest' | 'pending'): Promise<string[]> {
  const rows = await snapshot.rows<{ order_detail_id: Buffer }>(which === 'newest' ? NEWEST : PENDING, [
    bytesOf(sku_id),
  ]);
  return rows.map(({ order_detail_id }) => textOf(order_detail_id));
}
