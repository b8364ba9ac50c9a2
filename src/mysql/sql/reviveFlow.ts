import type { CartKey, Line } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';
import { FLOW_STATUS } from './insertFlows.ts';

const SQL = `
UPDATE flow SET order_id = ?, attempt = ?, quantity = ?, status = ?, returned = 0, created_at = CURRENT_TIMESTAMP(6)
 WHERE sku_id = ? AND order_detail_id = ? AND status = 'void'`;

/** Gives the place of an undone hold to another attempt. @returns false when it is none any more */
export async function reviveFlow(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  line: Line,
  status: keyof typeof FLOW_STATUS,
): Promise<boolean> {
  const values = [bytesOf(order_id), attempt, line.quantity, FLOW_STATUS[status], bytesOf(line.sku_id), bytesOf(line.order_detail_id)];
  return (await transaction.run(SQL, values)) === 1;
}
