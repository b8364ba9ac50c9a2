import { compareIdentifiers } from '../../core/identifier.ts';
import type { FlowChange, WriteSet } from '../../core/ledger/ledger.ts';
import type { FlowKey } from '../../core/nouns.ts';
import { slotOf } from '../../core/slots.ts';
import type { SqlValue } from '../connection.ts';
import { FLOW_STATUS } from './insertFlows.ts';
import { hexOf, jsonOf } from './json.ts';
import type { JsonCell, SqlJson } from './json.ts';

/** Writes a batch or nothing of it, and ends its transaction either way; the text of it is in `migrations/0004_batches.ts`. */
export const APPLY_BATCH = 'CALL apply_batch_1(?, ?, ?, ?, ?, ?, ?, ?, ?)';

/** The numbers of the procedure's own errors. */
export const BATCH_ERROR = { notMine: 30001, flowChanged: 30002, late: 30003, stockChanged: 30004 } as const;

/**
 * What goes in for its question marks.
 *
 * @param deadline by the clock of the shard, as `2026-11-20 10:00:00.000000`; at most 5 s ahead
 * @param sku_ids of everything that was decided, so of reads too
 */
export function batchValues(deadline: string, sku_ids: Iterable<string>, writes: WriteSet): SqlValue[] {
  const flows = [...writes.flows].sort((a, b) => inOrder(a.is, b.is));
  const added = flows.filter(({ was }) => was === null).map(({ is }) => is);
  const changed = flows.filter((change): change is Change => change.was !== null);
  const held = flows.filter(({ was, is }) => is.status === 'pending' && was?.status !== 'pending');
  const unheld = flows.filter(({ was, is }) => was?.status === 'pending' && is.status !== 'pending');
  const slots = [...new Set([...sku_ids].map(slotOf))].sort((a, b) => a - b);
  return [
    Buffer.from(deadline, 'latin1'),
    json(slots),
    json(added.map((flow) => [hexOf(flow.sku_id), hexOf(flow.order_detail_id), hexOf(flow.order_id), flow.quantity, flow.attempt, FLOW_STATUS[flow.status]])),
    json(changed.map(changeValues)),
    json([...writes.returns].sort((a, b) => inOrder(a, b) || compareIdentifiers(a.return_id, b.return_id)).map((entry) => [hexOf(entry.sku_id), hexOf(entry.order_detail_id), hexOf(entry.return_id), entry.quantity])),
    json([...writes.adjustments].sort((a, b) => compareIdentifiers(a.sku_id, b.sku_id) || compareIdentifiers(a.adjustment_id, b.adjustment_id)).map((entry) => [hexOf(entry.sku_id), hexOf(entry.adjustment_id), entry.delta, entry.reason === null ? null : hexOf(entry.reason)])),
    json(held.map(({ is }) => [hexOf(is.sku_id), hexOf(is.order_detail_id), hexOf(is.order_id), is.attempt])),
    json(unheld.map(({ is }) => [hexOf(is.sku_id), hexOf(is.order_detail_id)])),
    json(
      [...writes.shelves]
        .sort((a, b) => compareIdentifiers(a.sku_id, b.sku_id))
        .map(({ sku_id, leaved, held: heldMore, leavedMin, totalMax, mustBeOnSale }) => [
          hexOf(sku_id),
          Math.max(0, leaved),
          Math.max(0, -leaved),
          Math.max(0, heldMore),
          Math.max(0, -heldMore),
          leavedMin,
          totalMax,
          Number(mustBeOnSale),
        ]),
    ),
  ];
}

type Change = FlowChange & { readonly was: NonNullable<FlowChange['was']> };

function changeValues({ was, is }: Change): (string | number)[] {
  const isNew = was.status === 'void' && (is.status === 'deducted' || is.status === 'pending');
  return [
    ...[hexOf(is.sku_id), hexOf(is.order_detail_id)],
    ...[hexOf(was.order_id), was.attempt, was.quantity, was.returned, FLOW_STATUS[was.status]],
    ...[hexOf(is.order_id), is.attempt, is.quantity, is.returned, FLOW_STATUS[is.status], Number(isNew)],
  ];
}

function inOrder(a: FlowKey, b: FlowKey): number {
  return compareIdentifiers(a.sku_id, b.sku_id) || compareIdentifiers(a.order_detail_id, b.order_detail_id);
}

/** Null for an empty list: its step is left out. */
function json(rows: readonly (readonly JsonCell[] | number)[]): SqlJson | null {
  return rows.length === 0 ? null : jsonOf(rows);
}
