import type { Cancel, KeyWithRow } from '../operation.ts';
import { refused, refusedLines } from '../outcome.ts';
import type { Applied, RefusedLine } from '../outcome.ts';
import type { Flow } from '../types.ts';
import { DEFERRED, isRowOpenAt, pointerTarget, unitsByRow } from './decideDeduction.ts';
import type { Obstacle, RowUnits } from './decideDeduction.ts';
import { ONLY_ROW, stockRowOf } from './ledger.ts';
import type { Ledger, LedgerFlow } from './ledger.ts';

/** The return id of the units that a cancellation returns. No caller's id is empty. */
const CANCELLATION = '';

/** A cancellation that nothing prevents, with what it changes. */
export interface CancellationPlan {
  readonly is: 'clear';
  readonly existing: readonly { readonly key: KeyWithRow; readonly flow: LedgerFlow | null }[];
  readonly rests: readonly RowUnits[];
  readonly isReplay: boolean;
}

/** Judges a cancellation. The ledger is not changed. */
export function judgeCancellation(ledger: Ledger, { order_id, lines }: Cancel): CancellationPlan | Obstacle {
  const existing = lines.map((key) => ({ key, flow: ledger.flow(key) }));
  const flows = existing.flatMap(({ flow }) => flow ?? []);
  const pointers = flows.filter(({ status }) => status === 'moved');
  if (pointers.length > 0) return { is: 'elsewhere', flows: pointers.map(pointerTarget) };
  const stale = existing.filter(
    ({ key, flow }) =>
      (flow === null || flow.status === 'void') && !isRowOpenAt(ledger, key.sku_id, key.row ?? ONLY_ROW),
  );
  if (stale.length > 0) return { is: 'moved', sku_ids: stale.map(({ key }) => key.sku_id) };
  const ofOtherOrders = flows.filter(
    (flow) => flow.order_id !== order_id && (flow.status === 'deducted' || flow.status === 'cancelled'),
  );
  if (ofOtherOrders.length > 0) return refusedLines(ofOtherOrders.map(conflictOf));
  const held = flows.filter(({ status }) => status === 'pending');
  if (held.length > 0) return { is: 'pending', holds: held };
  if (existing.every(({ flow }) => flow?.status === 'cancelled'))
    return { is: 'clear', existing, rests: [], isReplay: true };
  // A tombstone has no remaining units, and perhaps no SKU.
  const rests = unitsByRow(
    flows
      .filter((flow) => restOf(flow) > 0)
      .map((flow) => ({ sku_id: flow.sku_id, quantity: restOf(flow), row: { sub_row: flow.sub_row, epoch: 0 } })),
  );
  for (const { sku_id, sub_row, units } of rests) {
    const stockRow = stockRowOf(ledger, { sku_id, sub_row });
    if (!stockRow.hasRoomFor(units)) return stockRow.isChanged ? DEFERRED : refused('stock_limit');
  }
  return { is: 'clear', existing, rests, isReplay: false };
}

/** Enters a cancellation that was judged clear in this ledger, with no other change in between. */
export function enterCancellation(
  ledger: Ledger,
  { order_id }: Cancel,
  { existing, rests, isReplay }: CancellationPlan,
): Applied {
  for (const { key, flow } of existing) cancelLine(ledger, order_id, key, flow);
  for (const { sku_id, sub_row, units } of rests) stockRowOf(ledger, { sku_id, sub_row }).addNew(units);
  return { is: 'applied', replayed: isReplay };
}

/** Returns the remaining units of a line. A line that was never deducted becomes a tombstone. */
function cancelLine(
  ledger: Ledger,
  order_id: string,
  { sku_id, order_detail_id, row = ONLY_ROW }: KeyWithRow,
  flow: LedgerFlow | null,
): void {
  if (flow?.status === 'cancelled') return;
  if (flow === null || flow.status === 'void') {
    ledger.setFlow({
      sku_id,
      order_detail_id,
      order_id,
      attempt: flow?.attempt ?? 0,
      quantity: 0,
      returned: 0,
      status: 'cancelled',
      sub_row: row.sub_row,
    });
    ledger.stockRow(sku_id, row.sub_row)?.fence(row.epoch);
    return;
  }
  const rest = restOf(flow);
  ledger.setFlow({ ...flow, order_id, returned: flow.quantity, status: 'cancelled' });
  if (rest > 0) ledger.addReturn({ sku_id, order_detail_id, return_id: CANCELLATION, quantity: rest });
}

/** The units of a flow that are not returned. The units of an undone hold went back when it was undone. */
function restOf({ status, quantity, returned }: Pick<Flow, 'status' | 'quantity' | 'returned'>): number {
  return status === 'void' ? 0 : quantity - returned;
}

function conflictOf({ sku_id, order_detail_id, quantity }: LedgerFlow): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'idempotency_conflict' };
}
