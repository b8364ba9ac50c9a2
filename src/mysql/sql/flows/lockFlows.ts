import { flowKeyText } from '../../../core/types.ts';
import type { Flow, FlowKey } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { textOf } from '../text/bytes.ts';
import { transactionOf } from '../carts/transactionColumns.ts';
import type { TransactionColumns } from '../carts/transactionColumns.ts';
import { anyOf, keyValues } from './flowKeys.ts';

/** An operation that does not follow pointers found one; nothing was done. */
export class PointerFound extends Error {}

/** The columns of a flow. */
const FLOW_COLUMNS = `sku_id, order_detail_id, order_id, attempt, quantity, returned, status, sub_row, moved_to,
       transaction_id, coordinator, DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ') AS created_at`;

const SELECT = `
SELECT ${FLOW_COLUMNS}
  FROM flow FORCE INDEX (PRIMARY) WHERE `;

const LOCKS = { share: 'LOCK IN SHARE MODE', update: 'FOR UPDATE' } as const;

/** The columns above as the driver returns them. */
type FlowRow = Omit<Flow, 'sku_id' | 'order_detail_id' | 'order_id' | 'moved_to' | 'transaction'> &
  TransactionColumns & {
    moved_to: number | null;
    sku_id: Buffer;
    order_detail_id: Buffer;
    order_id: Buffer;
  };

/**
 * Reads flows under a shared lock, so that it waits for every transaction that is still undecided about one of them. A
 * flow that is not found was committed by no transaction whose insert had been acknowledged.
 *
 * The index is forced because a small table would be scanned, and a locking scan waits for locks on unrelated rows.
 *
 * @param keys at least one
 * @param lock `update` when the caller may change them: two transactions that share a lock cannot both change the row
 * @returns the flows that exist, by `flowKeyText`
 * @throws Pointed
 */
export async function lockFlows(
  transaction: Transaction,
  keys: readonly FlowKey[],
  lock: keyof typeof LOCKS = 'share',
): Promise<Map<string, Flow>> {
  const flows = await lockFlowsAndPointers(transaction, keys, lock);
  for (const { status } of flows.values())
    if (status === 'moved') throw new PointerFound('a flow lies on another shard');
  return flows;
}

/** The same, including pointers, which only name the shard of a flow. */
export async function lockFlowsAndPointers(
  transaction: Transaction,
  keys: readonly FlowKey[],
  lock: keyof typeof LOCKS = 'share',
): Promise<Map<string, Flow>> {
  const sql = `${SELECT}${anyOf(keys)} ${LOCKS[lock]}`;
  const rows = await transaction.rows<FlowRow>(sql, keyValues(keys));
  const flows = new Map<string, Flow>();
  for (const row of rows) {
    const flow = flowOf(row);
    flows.set(flowKeyText(flow), flow);
  }
  return flows;
}

function flowOf({ moved_to, transaction_id, coordinator, ...row }: FlowRow): Flow {
  return {
    ...row,
    ...transactionOf({ transaction_id, coordinator }),
    ...(moved_to === null ? {} : { moved_to }),
    sku_id: textOf(row.sku_id),
    order_detail_id: textOf(row.order_detail_id),
    order_id: textOf(row.order_id),
  };
}
