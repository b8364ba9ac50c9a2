import type { CartKey, FlowKey } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = "UPDATE flow SET attempt = ? WHERE sku_id = ? AND order_detail_id = ? AND status = 'void' AND order_id = ? AND attempt < ?";

/** Makes an undone hold stand against later attempts of its order too. Its row must be locked. */
export async function raiseFence(transaction: Transaction, key: FlowKey, { order_id, attempt }: CartKey): Promise<void> {
  await transaction.run(SQL, [attempt, bytesOf(key.sku_id), bytesOf(key.order_detail_id), bytesOf(order_id), attempt]);
}
