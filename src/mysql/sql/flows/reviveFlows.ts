import type { CartKey, Line } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';
import { FLOW_STATUS } from './insertFlows.ts';

/**
 * Uses the void flows of undone holds for another attempt.
 *
 * @param lines at least one
 * @returns false when one is no longer void
 */
export async function reviveFlows(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  lines: readonly Line[],
  status: keyof typeof FLOW_STATUS,
): Promise<boolean> {
  const quantity = `CASE ${'WHEN sku_id = ? AND order_detail_id = ? THEN ? '.repeat(lines.length)}END`;
  const quantities = lines.flatMap((line) => [...keyValues([line]), line.quantity]);
  const sql = `
UPDATE flow FORCE INDEX (PRIMARY)
   SET order_id = ?, attempt = ?, quantity = ${quantity}, status = ?, returned = 0, created_at = CURRENT_TIMESTAMP(6)
 WHERE ${anyOf(lines)} AND status = 'void'`;
  return (
    (await transaction.run(sql, [
      bytesOf(order_id),
      attempt,
      ...quantities,
      FLOW_STATUS[status],
      ...keyValues(lines),
    ])) === lines.length
  );
}
