import { violation } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { flowEffect, flowKey, groupBy, mayHaveEffect } from './effects.ts';
import type { FlowRow, LineKey, RecordRow } from '../history.ts';

/**
 * I7: a committed record names lines that are stored, each on the shard that the record names. At least one of them
 * belongs to its transaction, because an order of replays needs no record.
 */
export function committedIsStored({ stored, final }: RoundBooks): Violation[] {
  const owned = groupBy(final.flows, ({ transaction }) => (transaction === null ? [] : [transaction.transaction_id]));
  return final.records.filter(isCommitted).flatMap((record) => {
    const name = nameOf(record);
    const lost = record.lines.flatMap((line) => {
      const effect = flowEffect({ ...line, order_id: record.order_id });
      const found = stored.get(effect.key);
      if (found?.content !== effect.content) return [violation('I7', `${name}: ${effect.name} is not stored`)];
      if (found.shard === line.shard) return [];
      return [violation('I7', `${name}: ${effect.name} is on shard ${found.shard} instead of ${line.shard}`)];
    });
    const ofRecord = new Set(record.lines.map(flowKey));
    const hasOwn = (owned.get(record.transaction_id) ?? []).some((flow) => ofRecord.has(flowKey(flow)));
    return hasOwn ? lost : [...lost, violation('I7', `${name}: no flow belongs to it`)];
  });
}

/** I7: a sold line of a transaction is named by a committed record on the shard that the line names as coordinator. */
export function soldIsCommitted({ final }: RoundBooks): Violation[] {
  const records = groupBy(final.records, ({ transaction_id }) => [transaction_id]);
  return final.flows.flatMap((flow) => {
    const { transaction, status, order_id } = flow;
    if (transaction === null || status === 'pending' || status === 'void') return [];
    const found = records.get(transaction.transaction_id) ?? [];
    const names = (record: RecordRow): boolean =>
      record.shard === transaction.coordinator &&
      record.order_id === order_id &&
      record.lines.some((line) => flowKey(line) === flowKey(flow) && line.quantity === flow.quantity);
    if (found.length === 1 && found.some((record) => isCommitted(record) && names(record))) return [];
    const what = found.map((record) => `${record.state} on shard ${record.shard}`).join(', ') || 'none';
    return [violation('I7', `${lineOf(flow)}: ${status} by ${transaction.transaction_id}, whose record is: ${what}`)];
  });
}

/**
 * I7: an undone hold leaves no row, and an aborted record is listed, so that it is deleted. Only orders of the protocol
 * with attempts, which have a row in `cart`, leave flows with the status `void`.
 */
export function undoneLeavesNothing({ final }: RoundBooks): Violation[] {
  const withAttempts = new Set(final.carts.map(({ order_id }) => order_id));
  return [
    ...final.flows
      .filter(
        ({ status, order_id, transaction }) =>
          status === 'void' && (transaction !== null || !withAttempts.has(order_id)),
      )
      .map((flow) => violation('I7', `${lineOf(flow)}: an undone hold is left`)),
    ...final.records
      .filter((record) => record.isListed === isCommitted(record))
      .map((record) =>
        violation('I7', `${nameOf(record)}: ${record.isListed ? 'listed to be deleted' : 'never deleted'}`),
      ),
  ];
}

/** I4: an order of which every sending was refused or rejected has neither a flow nor a committed record. */
export function refusedLeavesNothing({ final, writes }: RoundBooks): Violation[] {
  const orders = writes.filter((write) => write.kind === 'deduction');
  const refused = new Set(orders.map(({ order_id }) => order_id));
  for (const order of orders) if (mayHaveEffect(order)) refused.delete(order.order_id);
  // A cancellation leaves a flow that blocks the ids, and a rule of its own checks undone holds.
  const isLeft = ({ status }: FlowRow): boolean => status === 'deducted' || status === 'pending';
  return [
    ...final.flows
      .filter((flow) => refused.has(flow.order_id) && isLeft(flow))
      .map((flow) => violation('I4', `${lineOf(flow)}: ${flow.status}, and its order was always refused`)),
    ...final.records
      .filter((record) => refused.has(record.order_id) && isCommitted(record))
      .map((record) => violation('I4', `${nameOf(record)}: committed, and its order was always refused`)),
  ];
}

function isCommitted({ state }: RecordRow): boolean {
  return state === 'committed';
}

function nameOf({ order_id, transaction_id }: RecordRow): string {
  return `the record ${transaction_id} of ${order_id}`;
}

function lineOf({ order_detail_id, sku_id }: LineKey): string {
  return `${order_detail_id} of ${sku_id}`;
}
