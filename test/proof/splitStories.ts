import type { FinalState, LayoutRow, ResizeSent, StockRow, TransferRow } from './history.ts';
import { final, flow, line, other, order, restock, sent, short, sku_id, story, unknown, whole } from './stories.ts';
import type { Story } from './stories.ts';

const OWNER = 3;
/** Where the second row lies. */
const NEXT = 4;

export const resized = (sub_rows: number, more: Partial<ResizeSent> = {}): ResizeSent => ({
  kind: 'resize',
  sku_id,
  sub_rows,
  places: [OWNER, NEXT, 5, 6].slice(0, sub_rows),
  ...whole,
  invokedMs: 1,
  endedMs: 2,
  ...more,
});
const row = (sub_row: number, leaved_amount: number, more: Partial<StockRow> = {}): StockRow => ({
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
const [, elsewhere] = final().stock as [StockRow, StockRow];
const rows = (first: number, second: number, more: Partial<StockRow> = {}) => ({
  stock: [row(0, first), row(1, second, more), elsewhere],
});
const layout: LayoutRow = {
  sku_id,
  state: 'open',
  places: [OWNER, NEXT],
  earlier_count: 0,
  shards: [OWNER, NEXT],
  shard: OWNER,
};
const merged: LayoutRow = { ...layout, state: 'single', places: [OWNER] };
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
const away = { ...flow, sub_row: 1, shard: NEXT };
const tombstone = { ...flow, status: 'cancelled', quantity: 0 } as const;
const pointer = { sku_id, order_detail_id: 'd', moved_to: NEXT, shard: OWNER };

/** Five units in two rows; two of them went to the second. */
const split = (more: Partial<FinalState> = {}): FinalState =>
  final({ ...rows(3, 2), flows: [], transfers: [out, into], layouts: [layout], ...more });
/** Those two were sold there. */
export const sold = (more: Partial<FinalState> = {}): FinalState => split({ ...rows(3, 0), flows: [away], ...more });

/** What must be noticed of SKUs in several rows. */
export const SPLIT_BROKEN: readonly Story[] = [
  story('rows that balance only together', 'I1', [resized(2)], split({ ...rows(2, 3) })),
  story('a row that nobody made', 'I1', [resized(2)], split({ stock: [row(0, 3), elsewhere] })),
  story('a row with an opening of its own', 'I1', [resized(2)], split({ ...rows(3, 4, { opening_amount: 2 }) })),
  story('a transfer that is lost', 'I1', [resized(2)], split({ ...rows(3, 0), transfers: [out] })),
  story('a transfer that nobody sent', 'I1', [resized(2)], split({ ...rows(5, 2), transfers: [into] })),
  story(
    'a transfer that brings more than left',
    'I1',
    [resized(2)],
    split({ ...rows(3, 3), transfers: [out, { ...into, amount: 3 }] }),
  ),
  story('a transfer that comes twice', 'I1', [resized(2)], split({ ...rows(3, 4), transfers: [out, into, into] })),
  story(
    'a transfer that comes to another row',
    'I1',
    [resized(2)],
    split({ transfers: [{ ...out, other: { shard: 5, sub_row: 2 } }, into] }),
  ),
  story('a transfer that stays open', 'I1', [resized(2)], split({ transfers: [{ ...out, isOpen: true }, into] })),
  story('one id sold in two rows', 'I2', [resized(2), sent()], sold({ ...rows(1, 0), flows: [flow, away] })),
  story(
    'one id sold in one row and cancelled in another',
    'I2',
    [resized(2), sent()],
    sold({ flows: [tombstone, away] }),
  ),
  story(
    'a flow on a shard where its SKU never was',
    'I2',
    [resized(2), sent()],
    sold({ flows: [{ ...away, shard: 9 }] }),
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
    sold({ flows: [{ ...away, returned: 1 }], returns: [{ ...line, return_id: 'r', quantity: 1, shard: OWNER }] }),
  ),
  story('a pointer to where nothing is', 'I5', [resized(2)], split({ pointers: [pointer] })),
  story('a layout that nobody asked for', 'I3', [], split()),
  story('a layout that was replaced before', 'I3', [resized(2), resized(4, { invokedMs: 5, endedMs: 6 })], split()),
  story(
    'rows that were asked for and are not there',
    'I3',
    [resized(2)],
    split({ ...rows(5, 0, { isOpen: false }), transfers: [], layouts: [merged] }),
  ),
  story('a layout that stays half open', 'I9', [resized(2)], split({ layouts: [{ ...layout, state: 'opening' }] })),
  story(
    'a SKU that is never merged',
    'I9',
    [resized(2), resized(1, { invokedMs: 5, endedMs: 6 })],
    split({ ...rows(5, 0, { isOpen: false }), transfers: [], layouts: [{ ...merged, state: 'open' }] }),
  ),
  story(
    'earlier layouts that are asked for ever',
    'I9',
    [resized(2)],
    split({ layouts: [{ ...layout, earlier_count: 1 }] }),
  ),
  story('a row of the layout that stays closed', 'I9', [resized(2)], split({ ...rows(3, 2, { isOpen: false }) })),
  story(
    'an open row that is in no layout',
    'I9',
    [resized(2)],
    split({ stock: [row(0, 3), row(1, 2), row(2, 0, { shard: 5 }), elsewhere] }),
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
  story('an answer with another number of rows', 'contract', [resized(2, { places: [OWNER] })], split()),
  story('an answer with rows that crowd one shard', 'contract', [resized(2, { places: [OWNER, OWNER] })], split()),
  story('an answer with the first row elsewhere', 'contract', [resized(2, { places: [NEXT, OWNER] })], split()),
  story(
    'a refused resize of what is there',
    'contract',
    [resized(2), resized(4, { verdict: 'refused', code: 'unknown_sku', places: null })],
    split(),
  ),
];

/** What happens to them in good order, or cannot be known. */
export const SPLIT_SOUND: readonly Omit<Story, 'invariant'>[] = [
  story('a SKU in two rows', '', [resized(2), sent()], sold()),
  story(
    'a SKU that was merged, with a pointer to what is elsewhere',
    '',
    [resized(2), sent(), resized(1, { invokedMs: 25, endedMs: 26 })],
    sold({ ...rows(3, 0, { isOpen: false }), layouts: [merged], pointers: [pointer] }),
  ),
  story(
    'either of two layouts asked for at once',
    '',
    [resized(2, { endedMs: 9 }), resized(4, { invokedMs: 3, endedMs: 6 })],
    split(),
  ),
  story(
    'a layout that nobody was told of',
    '',
    [resized(2, { verdict: 'unknown', code: null, places: null }), resized(1, { invokedMs: 50, endedMs: 60 })],
    split(),
  ),
  story(
    'an undone hold in one row and the sale in another',
    '',
    [resized(2), sent()],
    sold({ flows: [{ ...flow, status: 'void', attempt: 1 }, away] }),
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
