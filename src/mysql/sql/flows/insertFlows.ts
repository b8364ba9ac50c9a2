import type { CartKey, Line } from '../../../core/types.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

/** The status of a flow at its insert: 1 to 5, the numbers of the words in the column's type. */
export const FLOW_STATUS = { deducted: 1, pending: 2, cancelled: 3, void: 4, moved: 5 } as const;

const SQL = 'INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ?';

/**
 * Writes flows, all or none. The flow key is the primary key. So a repeated id shows here, and the insert waits for
 * another transaction that is writing the same id.
 *
 * @param lines at least one, sorted by key
 * @returns false when at least one of the keys exists already; then none was written
 */
export async function insertFlows(
  transaction: Transaction,
  { order_id, attempt }: CartKey,
  lines: readonly Line[],
  status: keyof typeof FLOW_STATUS,
): Promise<boolean> {
  const order = bytesOf(order_id);
  const rows = lines.map((line) => [
    bytesOf(line.sku_id),
    bytesOf(line.order_detail_id),
    order,
    line.quantity,
    attempt,
    FLOW_STATUS[status],
  ]);
  try {
    await transaction.run(SQL, [rows]);
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}
