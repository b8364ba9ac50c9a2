import type { FlowKey, Verdict } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';
import { FLOW_STATUS } from './insertFlows.ts';

const SQL = "UPDATE flow SET status = ? WHERE sku_id = ? AND order_detail_id = ? AND status = 'pending'";

/** Makes a held flow a deduction, or void. Its row must be locked and its attempt known. */
export async function settleFlow(transaction: Transaction, key: FlowKey, verdict: Verdict): Promise<void> {
  const status = verdict === 'committed' ? FLOW_STATUS.deducted : FLOW_STATUS.void;
  await transaction.run(SQL, [status, bytesOf(key.sku_id), bytesOf(key.order_detail_id)]);
}
