import type { CommitDecision } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { unitsBySku } from './unitsBySku.ts';

/**
 * Ends the hold of some units: they are sold, or left again.
 *
 * @param held units by SKU; at least one
 * @returns false when one of the SKUs is unknown
 */
export async function completeStock(
  transaction: Transaction,
  held: ReadonlyMap<string, number>,
  decision: CommitDecision,
): Promise<boolean> {
  const { units, values, sku_ids } = unitsBySku(held);
  const isBack = decision === 'aborted';
  const sql = `
UPDATE stock FORCE INDEX (PRIMARY)
   SET leaved_amount = leaved_amount + ${isBack ? units : '0'}, held_amount = held_amount - ${units},
       version = version + 1
 WHERE sku_id IN (?) AND sub_row = 0`;
  return (await transaction.run(sql, [...(isBack ? values : []), ...values, sku_ids])) === held.size;
}
