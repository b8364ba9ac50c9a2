import type { Lost, StateCell, StateRow, StateTable } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { differencesOf, isAhead } from './differences.ts';
import type { States } from './differences.ts';

/** How a restored shard stands to the state before. */
export interface LostToPast {
  readonly lost: readonly Lost[];
  /** Rows that are not alike; most of them follow from what is missing, and are not named. */
  readonly differing: number;
  /** SKUs of which the shard has something that the state before has not: made since, or before it had come so far. They are not copied. */
  readonly ahead: ReadonlySet<string>;
}

/** Holds a restored shard against what is left of the state before. @param onRow told of every row of the past */
export async function lostToPast(
  states: States,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
  onRow: () => void = () => undefined,
): Promise<LostToPast> {
  const lost: Lost[] = [];
  const ahead = new Set<string>();
  let differing = 0;
  for await (const difference of differencesOf(states, shard, deadlineMs, onRow)) {
    const { table, past, present } = difference;
    if (isAhead(difference)) {
      const sku_id = textIn(present?.cells['sku_id']);
      // A record that was written since is none of the state before.
      if (sku_id !== null) ahead.add(sku_id);
      continue;
    }
    differing += 1;
    if (past !== null) lost.push(...lostOf(table, past.cells, present?.cells ?? null));
  }
  return { lost, differing, ahead };
}

type Cells = StateRow['cells'];

/** What a row of the past tells that is missing. What only follows from that is not told of: how much is left, how much came back. */
function lostOf(table: StateTable, row: Cells, now: Cells | null): Lost[] {
  const isAlike = (...columns: readonly string[]): boolean =>
    now !== null && columns.every((column) => textIn(row[column]) === textIn(now[column]));
  const about = {
    toldBy: 'the state before',
    sku_id: textIn(row['sku_id']),
    order_id: null,
    order_detail_id: textIn(row['order_detail_id']),
    id: null,
    quantity: null,
    redo: null,
  };
  switch (table) {
    case 'stock':
      // Other rows than the first are made by layouts.
      if (now === null)
        return row['sub_row'] === 0
          ? [{ ...about, kind: 'sku', quantity: Number(row['opening_amount']) }, ...pausedOf(row, about)]
          : [{ ...about, kind: 'layout', id: textIn(row['epoch']) }];
      return isAlike('sale_state', 'sale_from') ? [] : [{ ...about, kind: 'sale', id: saleOf(row) }];
    case 'hot_sku':
      return isAlike('epoch', 'last_epoch', 'places')
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
      // One that was aborted, or that nobody had decided, and is not written down is taken for aborted.
      return row['state'] === 'committed' && !isAlike('state')
        ? [{ ...about, kind: 'cart', order_id: textIn(row['order_id']), id: textIn(row['attempt']) }]
        : [];
    case 'flow':
      return flowLost(row, now, { ...about, order_id: textIn(row['order_id']), quantity: Number(row['quantity']) });
    case 'flow_return':
      // What a cancellation gave back comes back with it.
      return now === null && textIn(row['return_id']) !== ''
        ? [{ ...about, kind: 'return', id: textIn(row['return_id']), quantity: Number(row['quantity']) }]
        : [];
    case 'cart_hold':
      return [];
  }
}

function flowLost(row: Cells, now: Cells | null, about: Omit<Lost, 'kind'>): Lost[] {
  const isSame =
    now !== null && textIn(now['order_id']) === about.order_id && Number(now['quantity']) === about.quantity;
  const isNow = (status: string): boolean => isSame && now['status'] === status;
  const sale: Lost = { ...about, kind: 'flow' };
  if (row['status'] === 'deducted') return isNow('deducted') ? [] : [sale];
  if (row['status'] === 'moved')
    return isNow('moved') ? [] : [{ ...about, kind: 'pointer', order_id: null, quantity: null }];
  // Held, or a mark that an attempt was undone: nobody was told that it is sold.
  if (row['status'] !== 'cancelled' || isNow('cancelled')) return [];
  const cancelled: Lost = { ...about, kind: 'flow_state' };
  // One that was cancelled before it was sold has no units.
  return about.quantity === 0 || isNow('deducted') ? [cancelled] : [sale, cancelled];
}

/** A new SKU is on sale at once unless somebody says otherwise. */
function pausedOf(row: Cells, about: Omit<Lost, 'kind'>): Lost[] {
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
