import type { FinalState, LayoutRow, ResizeSent, StoredStockRow, TransferRow } from '../history.ts';
import {
  cartSold,
  final,
  flow,
  line,
  other,
  order,
  restock,
  sent,
  short,
  sku_id,
  story,
  unknown,
  whole,
} from './storyParts.ts';
import type { Story } from './storyParts.ts';

const OWNER = 3;
/** The shard of the second row. */
const NEXT = 4;

export const resized = (sub_rows: number, more: Partial<ResizeSent> = {}): ResizeSent => ({
  kind: 'resize',
  sku_id,
  sub_rows,
  rowShards: [OWNER, NEXT, 5, 6].slice(0, sub_rows),
  ...whole,
  invokedMs: 1,
  endedMs: 2,
  ...more,
});
const row = (sub_row: number, leaved_amount: number, more: Partial<StoredStockRow> = {}): StoredStockRow => ({
  ...{
    sku_id,
    sub_row,
    isOpen: true,
    leaved_amount,
    held_amount: 0,
    sale_state: 'on',
    shard: sub_row === 0 ? OWNER : NEXT,
  },
  opening_amount: sub_row === 0 ? 5 : 0,
  ...more,
});
const [, otherRow] = final().stock as [StoredStockRow, StoredStockRow];
const rows = (first: number, second: number, more: Partial<StoredStockRow> = {}) => ({
  stock: [row(0, first), row(1, second, more), otherRow],
});
const layout: LayoutRow = {
  sku_id,
  state: 'open',
  rowShards: [OWNER, NEXT],
  earlier_count: 0,
  shards: [OWNER, NEXT],
  shard: OWNER,
};
const merged: LayoutRow = { ...layout, state: 'single', rowShards: [OWNER] };
const out: TransferRow = {
  sku_id,
  transfer_id: 'AA',
  direction: 'out',
  amount: 2,
  isOpen: false,
  sub_row: 0,
  shard: OWNER,
  other: { shard: NEXT, sub_row: 1 },
};
const into: TransferRow = { ...out, direction: 'in', sub_row: 1, shard: NEXT, other: { shard: OWNER, sub_row: 0 } };
const moved = { ...flow, sub_row: 1, shard: NEXT };
const tombstone = { ...flow, status: 'cancelled', quantity: 0 } as const;
const pointer = { sku_id, order_detail_id: 'd', moved_to: NEXT, shard: OWNER };

/** Five units in two rows, two of them transferred to the second. */
const split = (more: Partial<FinalState> = {}): FinalState =>
  final({ ...rows(3, 2), flows: [], transfers: [out, into], layouts: [layout], ...more });
/** The same after the two units of the second row were sold. */
export const sold = (more: Partial<FinalState> = {}): FinalState => split({ ...rows(3, 0), flows: [moved], ...more });

/** Histories of split SKUs that break a rule. */
export const SPLIT_BROKEN: readonly Story[] = [
  story('rows that balance only as a sum', 'I1', [resized(2)], split({ ...rows(2, 3) })),
  story(
    'a row that a transfer names and that does not exist',
    'I1',
    [resized(2)],
    split({ stock: [row(0, 3), otherRow] }),
  ),
  story(
    'a second row with an opening stock of its own',
    'I1',
    [resized(2)],
    split({ ...rows(3, 4, { opening_amount: 2 }) }),
  ),
  story('a transfer that is not received', 'I1', [resized(2)], split({ ...rows(3, 0), transfers: [out] })),
  story('a transfer that was not sent', 'I1', [resized(2)], split({ ...rows(5, 2), transfers: [into] })),
  story(
    'a transfer that adds more units than were sent',
    'I1',
    [resized(2)],
    split({ ...rows(3, 3), transfers: [out, { ...into, amount: 3 }] }),
  ),
  story(
    'a transfer that is received twice',
    'I1',
    [resized(2)],
    split({ ...rows(3, 4), transfers: [out, into, into] }),
  ),
  story(
    'a transfer that is received by another row',
    'I1',
    [resized(2)],
    split({ transfers: [{ ...out, other: { shard: 5, sub_row: 2 } }, into] }),
  ),
  story('a transfer that stays open', 'I1', [resized(2)], split({ transfers: [{ ...out, isOpen: true }, into] })),
  story('one id sold in two rows', 'I2', [resized(2), sent()], sold({ ...rows(1, 0), flows: [flow, moved] })),
  story(
    'one id sold in one row and cancelled in another',
    'I2',
    [resized(2), sent()],
    sold({ flows: [tombstone, moved] }),
  ),
  story(
    'a flow on a shard where its SKU never was',
    'I2',
    [resized(2), sent()],
    sold({ flows: [{ ...moved, shard: 9 }] }),
  ),
  story(
    'an adjustment in another row than the first',
    'I2',
    [resized(2), { kind: 'adjustment', sku_id, adjustment_id: 'a', delta: 4, ...whole, replayed: false }],
    split({ ...rows(3, 6), adjustments: [{ ...restock, shard: NEXT }] }),
  ),
  story(
    'a return on another shard than its flow',
    'I6',
    [resized(2), sent()],
    sold({ flows: [{ ...moved, returned: 1 }], returns: [{ ...line, return_id: 'r', quantity: 1, shard: OWNER }] }),
  ),
  story('a pointer to a shard without the flow', 'I5', [resized(2)], split({ pointers: [pointer] })),
  story('a layout that was not requested', 'I3', [], split()),
  story(
    'a layout that an accepted resize had replaced',
    'I3',
    [resized(2), resized(4, { invokedMs: 5, endedMs: 6 })],
    split(),
  ),
  story(
    'a layout that was requested and is missing',
    'I3',
    [resized(2)],
    split({ ...rows(5, 0, { isOpen: false }), transfers: [], layouts: [merged] }),
  ),
  story(
    'a layout that stays in the state opening',
    'I9',
    [resized(2)],
    split({ layouts: [{ ...layout, state: 'opening' }] }),
  ),
  story(
    'a SKU that is not merged',
    'I9',
    [resized(2), resized(1, { invokedMs: 5, endedMs: 6 })],
    split({ ...rows(5, 0, { isOpen: false }), transfers: [], layouts: [{ ...merged, state: 'open' }] }),
  ),
  story(
    'earlier layouts that stay in the list',
    'I9',
    [resized(2)],
    split({ layouts: [{ ...layout, earlier_count: 1 }] }),
  ),
  story('a row of the layout that stays closed', 'I9', [resized(2)], split({ ...rows(3, 2, { isOpen: false }) })),
  story(
    'an open row that is in no layout',
    'I9',
    [resized(2)],
    split({ stock: [row(0, 3), row(1, 2), row(2, 0, { shard: 5 }), otherRow] }),
  ),
  story(
    'units in a closed row',
    'I8',
    [resized(2), resized(1, { invokedMs: 5, endedMs: 6 })],
    split({ ...rows(3, 2, { isOpen: false }), layouts: [merged] }),
  ),
  story(
    'a refusal by one row while another has enough',
    'I8',
    [resized(2), sent({ lines: [{ ...line, quantity: 4 }], ...short(3) })],
    split(),
  ),
  story('an answer with another number of rows', 'contract', [resized(2, { rowShards: [OWNER] })], split()),
  story('an answer with two rows on one shard', 'contract', [resized(2, { rowShards: [OWNER, OWNER] })], split()),
  story(
    'an answer with the first row not on the owner shard',
    'contract',
    [resized(2, { rowShards: [NEXT, OWNER] })],
    split(),
  ),
  story(
    'a resize that is refused as unknown SKU though the SKU was opened',
    'contract',
    [resized(2), resized(4, { verdict: 'refused', code: 'unknown_sku', rowShards: null })],
    split(),
  ),
];

/** Histories of split SKUs that break no rule, or of which the client cannot tell. */
export const SPLIT_VALID: readonly Omit<Story, 'invariant'>[] = [
  story('a SKU in two rows', '', [resized(2), sent()], sold()),
  story(
    'a SKU that was merged, with a pointer to a flow on another shard',
    '',
    [resized(2), sent(), resized(1, { invokedMs: 25, endedMs: 26 })],
    sold({ ...rows(3, 0, { isOpen: false }), layouts: [merged], pointers: [pointer] }),
  ),
  story(
    'either of two layouts that were requested at once',
    '',
    [resized(2, { endedMs: 9 }), resized(4, { invokedMs: 3, endedMs: 6 })],
    split(),
  ),
  story(
    'a layout whose request was not answered',
    '',
    [resized(2, { verdict: 'unknown', code: null, rowShards: null }), resized(1, { invokedMs: 50, endedMs: 60 })],
    split(),
  ),
  story(
    'an undone hold in one row and the sale in another',
    '',
    [resized(2), sent()],
    sold({ flows: [{ ...flow, status: 'void', attempt: 1 }, moved], carts: [{ ...cartSold, lines: [line] }] }),
  ),
  story(
    'fewer units while two rows were held for one order',
    '',
    [
      resized(2),
      sent({
        ...unknown,
        verdict: 'undone',
        order_id: order,
        lines: [
          { ...line, quantity: 2 },
          { ...line, order_detail_id: other.order_detail_id },
        ],
      }),
      { kind: 'read', sku_id, leaved_amount: 1, ...whole },
    ],
    split(),
  ),
];
