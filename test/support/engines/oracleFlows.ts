import type { CartKey, Flow, FlowKey, Hold, Line } from '../../../src/core/types.ts';
import type { IdStatus } from '../../../src/core/idStatus.ts';
import type { RefusedLine } from '../../../src/core/outcome.ts';

/** A line, and the status of its ids. */
export interface Judged {
  readonly line: Line;
  readonly idStatus: IdStatus | 'new';
}

/** Whether a line takes units. */
export function isFresh({ idStatus }: Judged): boolean {
  return idStatus === 'new' || idStatus === 'free';
}

/** The units that some lines ask for, by SKU. */
export function unitsOfLinesBySku(
  lines: readonly { readonly sku_id: string; readonly quantity: number }[],
): Map<string, number> {
  const units = new Map<string, number>();
  for (const { sku_id, quantity } of lines) units.set(sku_id, (units.get(sku_id) ?? 0) + quantity);
  return units;
}

/** A flow that has taken no units. */
export function newFlow({ sku_id, order_detail_id }: FlowKey): Flow {
  return {
    sku_id,
    order_detail_id,
    order_id: '',
    attempt: 0,
    quantity: 0,
    returned: 0,
    status: 'void',
    sub_row: 0,
    created_at: '',
  };
}

export function holdOfFlow({ sku_id, order_detail_id, order_id, attempt, transaction }: Flow): Hold {
  const hold = { sku_id, order_detail_id, order_id, attempt };
  return transaction === undefined ? hold : { ...hold, transaction };
}

/** The units of a flow that have not come back. Those of an undone hold have come back already. */
export function restOf(flow: Flow): number {
  return flow.status === 'void' ? 0 : flow.quantity - flow.returned;
}

export function conflictOf({ sku_id, order_detail_id, quantity }: Flow): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'idempotency_conflict' };
}

/** The cart of an operation, without the rest of the operation. */
export function cartOf({ order_id, attempt, transaction }: CartKey): CartKey {
  return transaction === undefined ? { order_id, attempt } : { order_id, attempt, transaction };
}
