import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

/**
 * Opening stock plus all adjustments of a SKU, in units, as an exact DECIMAL.
 *
 * @param stock the name or alias of the SKU's first stock row
 * @param adjustment the table of adjustments
 */
export function totalOf(stock: string, adjustment: string): string {
  const rows = `${adjustment} a FORCE INDEX (PRIMARY) WHERE a.sku_id = ${stock}.sku_id`;
  const sum = `SELECT COALESCE(SUM(a.delta), 0) FROM ${rows}`;
  return `(${stock}.opening_amount + (${sum}))`;
}

const READ = `
SELECT CAST(${totalOf('stock', 'adjustment')} AS CHAR) AS total FROM stock WHERE sku_id = ? AND sub_row = 0`;

/**
 * Reads opening stock plus all adjustments of a SKU, including those of this transaction, in units. The transaction
 * must hold the lock of the SKU's first stock row: every adjustment writes that row, so no other one is committed until
 * it ends.
 *
 * @returns null for an unknown SKU
 */
export async function readTotal(transaction: Transaction, sku_id: string): Promise<bigint | null> {
  const [row] = await transaction.rows<{ total: string }>(READ, [bytesOf(sku_id)]);
  return row === undefined ? null : BigInt(row.total);
}
