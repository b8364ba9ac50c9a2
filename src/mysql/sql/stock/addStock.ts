import { STOCK_LIMIT } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { lockStocks } from './lockStock.ts';
import { lockSellableAfterMs } from './sellable.ts';
import { unitsBySku } from './unitsBySku.ts';

/**
 * Adds units to SKUs. Units left and held of a SKU stay within the limit together, because held units may come back.
 * Rows are locked in the order of the primary key.
 *
 * @param back units by SKU; at least one
 * @returns true when all were added; false when a SKU is unknown or has no room: then the transaction must be rolled
 *   back
 */
export async function addStock(transaction: Transaction, back: ReadonlyMap<string, number>): Promise<boolean> {
  const { units, values, sku_ids } = unitsBySku(back);
  // A heartbeat waits for the row that is locked next, so that row must not wait for a stock row.
  await lockStocks(transaction, sku_ids);
  const afterMs = await lockSellableAfterMs(transaction);
  // An assignment uses the results of those before it, so the amount is assigned last.
  const sql = `
UPDATE stock FORCE INDEX (PRIMARY)
   SET sellable_from =
         IF(? > 0 AND leaved_amount + held_amount = 0, SYSDATE(6) + INTERVAL ? MICROSECOND, sellable_from),
       leaved_amount = leaved_amount + ${units}, version = version + 1
 WHERE sku_id IN (?) AND sub_row = 0 AND leaved_amount + held_amount <= ? - ${units}`;
  return (
    (await transaction.run(sql, [afterMs, afterMs * 1_000, ...values, sku_ids, STOCK_LIMIT, ...values])) === back.size
  );
}
