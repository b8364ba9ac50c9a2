import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import { isAbortedRecord } from '../../core/restore/stateRows.ts';
import type { StateCell, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { differencesOf, isAhead } from './differences.ts';
import type { States } from './differences.ts';

/** How a restored shard differs from its reference copy. */
export interface ReferenceComparison {
  readonly missing: readonly MissingRecord[];
  /** The number of rows that differ. Most of them follow from the missing records, and are not named. */
  readonly differing: number;
  /**
   * SKUs with records that the reference copy lacks: they were written after the restore, or after the moment that the
   * reference copy had reached. These SKUs are not copied.
   */
  readonly ahead: ReadonlySet<string>;
}

/** Compares a restored shard with its reference copy. @param onRow called for every row of the reference copy */
export async function missingByReference(
  states: States,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
  onRow: () => void = () => undefined,
): Promise<ReferenceComparison> {
  const lost: MissingRecord[] = [];
  const ahead = new Set<string>();
  let differing = 0;
  for await (const difference of differencesOf(states, shard, deadlineMs, onRow)) {
    const { table, reference, present } = difference;
    if (isAhead(difference)) {
      const sku_id = textIn(present?.cells['sku_id']);
      // A cart record has no SKU. One that was written since does not belong to the reference copy.
      if (sku_id !== null) ahead.add(sku_id);
      continue;
    }
    // Copying deletes it, but the shard is as complete with it as without it.
    if (reference === null && present !== null && isAbortedRecord({ table, row: present })) continue;
    differing += 1;
    if (reference !== null) lost.push(...lostOf(table, reference.cells, present?.cells ?? null));
  }
  return { missing: lost, differing, ahead };
}

type Cells = StateRow['cells'];

/**
 * The missing records that a row of the reference copy shows. Values that follow from other records are not reported:
 * units left, and units returned.
 */
function lostOf(table: StateTable, row: Cells, now: Cells | null): MissingRecord[] {
  const isEqual = (...columns: readonly string[]): boolean =>
    now !== null && columns.every((column) => textIn(row[column]) === textIn(now[column]));
  const about = {
    toldBy: 'the reference copy',
    sku_id: textIn(row['sku_id']),
    order_id: null,
    order_detail_id: textIn(row['order_detail_id']),
    id: null,
    quantity: null,
    redo: null,
  };
  switch (table) {
    case 'stock':
      // Layouts make the rows other than row 0.
      if (now === null)
        return row['sub_row'] === 0
          ? [{ ...about, kind: 'sku', quantity: Number(row['opening_amount']) }, ...pausedOf(row, about)]
          : [{ ...about, kind: 'layout', id: textIn(row['epoch']) }];
      return isEqual('sale_state', 'sale_from') ? [] : [{ ...about, kind: 'sale', id: saleOf(row) }];
    case 'hot_sku':
      return isEqual('epoch', 'last_epoch', 'places')
        ? []
        : [{ ...about, kind: 'layout', id: textIn(row['last_epoch']) }];
    case 'adjustment':
      return now === null
        ? [{ ...about, kind: 'adjustment', id: textIn(row['adjustment_id']), quantity: Number(row['delta']) }]
        : [];
    case 'transfer':
      return now === null
        ? [
            {
              ...about,
              kind: 'transfer',
              id: hexIn(row['transfer_id']),
              quantity: row['direction'] === 'in' ? Number(row['amount']) : -Number(row['amount']),
            },
          ]
        : [];
    case 'cart':
      // Only committed carts: a missing record counts as aborted, and so does one that was never decided.
      return row['state'] === 'committed' && !isEqual('state')
        ? [{ ...about, kind: 'cart', order_id: textIn(row['order_id']), id: textIn(row['attempt']) }]
        : [];
    case 'order_record':
      // Only committed transactions are compared: an aborted one has no record a minute later.
      return isEqual('state')
        ? []
        : [{ ...about, kind: 'cart', order_id: textIn(row['order_id']), id: hexIn(row['transaction_id']) }];
    case 'flow':
      return flowLost(row, now, { ...about, order_id: textIn(row['order_id']), quantity: Number(row['quantity']) });
    case 'flow_return':
      // The return of a cancellation, with an empty id, is repaired together with the cancellation.
      return now === null && textIn(row['return_id']) !== ''
        ? [{ ...about, kind: 'return', id: textIn(row['return_id']), quantity: Number(row['quantity']) }]
        : [];
    case 'cart_hold':
      return [];
  }
}

function flowLost(row: Cells, now: Cells | null, about: Omit<MissingRecord, 'kind'>): MissingRecord[] {
  const isSame =
    now !== null && textIn(now['order_id']) === about.order_id && Number(now['quantity']) === about.quantity;
  const isNow = (status: string): boolean => isSame && now['status'] === status;
  const sale: MissingRecord = { ...about, kind: 'flow' };
  if (row['status'] === 'deducted') return isNow('deducted') ? [] : [sale];
  if (row['status'] === 'moved')
    return isNow('moved') ? [] : [{ ...about, kind: 'pointer', order_id: null, quantity: null }];
  // Pending and void flows are not missing: no answer has reported them as sold.
  if (row['status'] !== 'cancelled' || isNow('cancelled')) return [];
  const cancelled: MissingRecord = { ...about, kind: 'flow_state' };
  // A tombstone, whose line was cancelled before its deduction, has no units.
  return about.quantity === 0 || isNow('deducted') ? [cancelled] : [sale, cancelled];
}

/** The sale state of a missing SKU. A new SKU is on sale at once, so only another state is missing. */
function pausedOf(row: Cells, about: Omit<MissingRecord, 'kind'>): MissingRecord[] {
  return row['sale_state'] === 'on' && row['sale_from'] === null ? [] : [{ ...about, kind: 'sale', id: saleOf(row) }];
}

function saleOf(row: Cells): string {
  return `${textIn(row['sale_state'])}${row['sale_from'] === null ? '' : ` from ${textIn(row['sale_from'])}`}`;
}

function textIn(cell: StateCell | undefined): string | null {
  return cell === undefined || cell === null ? null : Buffer.isBuffer(cell) ? cell.toString('utf8') : String(cell);
}

function hexIn(cell: StateCell | undefined): string | null {
  return Buffer.isBuffer(cell) ? cell.toString('hex') : null;
}
