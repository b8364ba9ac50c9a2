import type { OverdueHold } from '../../../core/books/reconciliation.ts';
import type { Snapshot } from '../../connection/snapshot.ts';
import { isOlder } from '../session/age.ts';
import { holdOf } from '../flows/holds.ts';
import type { HoldRow } from '../flows/holds.ts';
import { scopeOf } from './readBalances.ts';

/** Gateways other than the coordinator may complete a hold after 5 s, and each gateway's sweeper runs every second. */
export const OVERDUE_SECONDS = 10;

const SQL = (scope: string): string => `
SELECT cart_hold.sku_id, cart_hold.order_detail_id, cart_hold.order_id, cart_hold.attempt,
       cart_hold.transaction_id, cart_hold.coordinator,
       CAST(COALESCE(flow.quantity, 0) AS SIGNED) AS quantity
  FROM (SELECT * FROM cart_hold${scope}) AS cart_hold
  LEFT JOIN flow
    ON flow.sku_id = cart_hold.sku_id AND flow.order_detail_id = cart_hold.order_detail_id AND flow.status = 'pending'
 WHERE ${isOlder('cart_hold.created_at', OVERDUE_SECONDS)}`;

/** Holds that are older than any hold should be. The state of their carts is not read. @param sku_ids null: all */
export async function findOverdueHolds(snapshot: Snapshot, sku_ids: readonly string[] | null): Promise<OverdueHold[]> {
  const { sql, values } = scopeOf(sku_ids);
  const rows = await snapshot.rows<HoldRow & { readonly quantity: number }>(SQL(sql), values);
  return rows.map((row) => ({ ...holdOf(row), quantity: Number(row.quantity) }));
}
