import { skuOn } from '../support/traffic.ts';
import type {
  AdjustmentSent,
  CancellationSent,
  DeductionSent,
  Entry,
  FinalState,
  Found,
  LineState,
  LookedUp,
  OpeningSent,
  ReturnSent,
  SaleSent,
  StockRead,
} from './history.ts';

/** A history and an end, and what the checker must say of them. */
export interface Story {
  readonly name: string;
  readonly invariant: string;
  readonly history: readonly Entry[];
  readonly state: FinalState;
}

export const sku_id = skuOn(3, 'checked');
const elsewhere = skuOn(5, 'checked');
export const line = { sku_id, order_detail_id: 'd', quantity: 2 };
export const other = { sku_id: elsewhere, order_detail_id: 'e', quantity: 2 };
export const order = skuOn(7, 'order');

export const whole = { invokedMs: 10, endedMs: 20, verdict: 'done', code: null } as const;
export const later = { invokedMs: 30, endedMs: 40 } as const;
const refused = (code: string) => ({ verdict: 'refused', code }) as const;
export const unknown = { verdict: 'unknown', code: 'outcome_unknown', replayed: null, replays: null } as const;

export const sent = (more: Partial<DeductionSent> = {}): DeductionSent => {
  const lines = more.lines ?? [line];
  return {
    kind: 'deduction',
    order_id: order,
    ...whole,
    replayed: false,
    replays: lines.map(() => more.replayed === true),
    refused: [],
    ...more,
    lines,
  };
};
export const short = (
  leaved_amount: number | null,
  lines: readonly { sku_id: string; order_detail_id: string }[] = [line],
): Partial<DeductionSent> => ({
  ...refused('insufficient_stock'),
  replayed: null,
  replays: null,
  refused: lines.map((one) => ({ ...one, code: 'insufficient_stock', leaved_amount })),
});
const denied = (code: string): Partial<DeductionSent> => ({
  ...refused(code),
  replayed: null,
  replays: null,
  refused: [{ ...line, code, leaved_amount: null }],
});
const opened = (sku: string): OpeningSent => ({
  kind: 'opening',
  sku_id: sku,
  leaved_amount: 5,
  ...whole,
  invokedMs: -2,
  endedMs: -1,
  replayed: false,
});
const read = (leaved_amount: number, invokedMs: number): StockRead => ({
  kind: 'read',
  sku_id,
  leaved_amount,
  ...whole,
  invokedMs,
  endedMs: invokedMs + 1,
});
const lookedUp = (found: Found | null, invokedMs: number): LookedUp => ({
  kind: 'lookup',
  ...line,
  found,
  ...whole,
  invokedMs,
  endedMs: invokedMs + 1,
});
const notFound = (invokedMs: number): LookedUp => lookedUp({ status: 'none' }, invokedMs);
const asDeducted = { status: 'deducted', order_id: order, quantity: 2, returned: 0 } as const;
const found = (invokedMs: number): LookedUp => lookedUp(asDeducted, invokedMs);
export const adjusted = (more: Partial<AdjustmentSent> = {}): AdjustmentSent => ({
  kind: 'adjustment',
  sku_id,
  adjustment_id: 'a',
  delta: 4,
  ...whole,
  replayed: false,
  ...more,
});
export const gaveBack = (more: Partial<ReturnSent> = {}): ReturnSent => ({
  kind: 'return',
  ...line,
  return_id: 'r',
  ...whole,
  ...later,
  replayed: false,
  ...more,
  quantity: more.quantity ?? 1,
  returned: more.returned === undefined ? 1 : more.returned,
  returnable: more.returnable === undefined ? 1 : more.returnable,
});
const key = { sku_id, order_detail_id: 'd' };
export const cancelled = (more: Partial<CancellationSent> = {}): CancellationSent => ({
  kind: 'cancellation',
  order_id: order,
  lines: [key],
  ...whole,
  ...later,
  replayed: false,
  states: [],
  ...more,
});
/** A cancellation by another order that is refused, with the state of its line. */
const notCancelled = (status: LineState['status'], more: Partial<CancellationSent> = {}): CancellationSent =>
  cancelled({
    order_id: 'x',
    ...refused('idempotency_conflict'),
    replayed: null,
    states: [{ ...key, status, code: 'idempotency_conflict' }],
    ...more,
  });
/** A look-up whose line was not read. */
const unread = (invokedMs: number): LookedUp => ({
  ...lookedUp(null, invokedMs),
  verdict: 'undone',
  code: 'unavailable',
});
const sale = (state: SaleSent['state'], invokedMs: number): SaleSent => ({
  kind: 'sale',
  sku_id,
  state,
  ...whole,
  invokedMs,
  endedMs: invokedMs + 1,
});

export const flow = {
  ...line,
  order_id: order,
  status: 'deducted',
  attempt: 0,
  returned: 0,
  sub_row: 0,
  shard: 3,
} as const;
export const stock = (
  leaved_amount: number,
  opening_amount = 5,
  held_amount = 0,
  sale_state: 'on' | 'paused' = 'on',
) => ({
  stock: [
    { sku_id, sub_row: 0, isOpen: true, opening_amount, leaved_amount, held_amount, sale_state, shard: 3 },
    {
      sku_id: elsewhere,
      sub_row: 0,
      isOpen: true,
      opening_amount: 5,
      leaved_amount: 5,
      held_amount: 0,
      sale_state: 'on' as const,
      shard: 5,
    },
  ],
});
export const final = (more: Partial<FinalState> = {}): FinalState => ({
  ...stock(3),
  flows: [flow],
  pointers: [],
  returns: [],
  adjustments: [],
  holds: [],
  carts: [],
  transfers: [],
  layouts: [],
  ...more,
});
const unsold = final({ flows: [], ...stock(5) });
export const restock = { sku_id, adjustment_id: 'a', delta: 4, shard: 3 };
const restocked = final({ ...stock(9), flows: [], adjustments: [restock] });
export const back = (quantity: number, return_id = 'r') => ({
  sku_id,
  order_detail_id: 'd',
  return_id,
  quantity,
  shard: 3,
});
const returned = final({ ...stock(4), flows: [{ ...flow, returned: 1 }], returns: [back(1)] });
const gone = final({ ...stock(5), flows: [{ ...flow, status: 'cancelled', returned: 2 }], returns: [back(2, '')] });
export const buried = final({ ...stock(5), flows: [{ ...flow, status: 'cancelled', quantity: 0 }] });
const held = { sku_id, order_detail_id: 'd', order_id: order, shard: 3 };
const cart = { order_id: order, attempt: 1, state: 'committed', lines: [line, other], shard: 7 } as const;

const told = (history: readonly Entry[]): Entry[] => [opened(sku_id), opened(elsewhere), ...history];
export const story = (name: string, invariant: string, history: readonly Entry[], state: FinalState): Story => ({
  name,
  invariant,
  history: told(history),
  state,
});

/** What must be noticed. */
export const BROKEN: readonly Story[] = [
  story('a row that is not what its journal says', 'I1', [sent()], final(stock(5))),
  story('a row below zero', 'I1', [sent()], final(stock(-1, 1))),
  story('a flow twice', 'I2', [sent()], final({ flows: [flow, flow], ...stock(1) })),
  story('a flow on a shard that does not own it', 'I2', [sent()], final({ flows: [{ ...flow, shard: 4 }] })),
  story(
    'a cart record on a shard that does not own it',
    'I2',
    [sent()],
    final({ carts: [{ ...cart, state: 'aborted', shard: 4 }] }),
  ),
  story('a lost deduction', 'I3', [sent()], unsold),
  story('a deduction that was refused and stands', 'I4', [sent(denied('not_on_sale'))], final()),
  story(
    'a deduction that was "overloaded" and stands',
    'I4',
    [sent({ ...unknown, verdict: 'undone', code: 'overloaded' })],
    final(),
  ),
  story('a replay that is refused', 'I5', [sent(), sent({ ...later, ...short(1) })], final()),
  story('a replay answered as new', 'I5', [sent(), sent(later)], final()),
  story('half an order', 'I7', [sent({ ...unknown, lines: [line, other] })], final()),
  story(
    'an order with one more line, of which only that one stands',
    'I7',
    [
      sent({ ...unknown, lines: [line, { ...line, order_detail_id: 'f' }] }),
      sent({ ...unknown, lines: [{ ...line, order_detail_id: 'f' }, line, other] }),
    ],
    final({ flows: [{ ...flow, order_detail_id: 'f' }] }),
  ),
  story('a refusal while enough was left', 'I8', [sent(short(1))], unsold),
  story('a number that was never true', 'I8', [sent(), read(5, 30)], final()),
  story('a look-up that denies what was done', 'I5', [sent(), notFound(30)], final()),
  story('a look-up that denies what was unknown, and stands', 'I4', [sent(unknown), notFound(30)], final()),
  story(
    'a look-up that denies what nobody answered, long after it, and which stands',
    'I4',
    [sent({ ...unknown, code: null }), notFound(5_020)],
    final(),
  ),
  story(
    'an attempt that is refused though an earlier one stands',
    'I4',
    [sent(unknown), sent({ ...later, ...short(1) })],
    final(),
  ),
  story(
    'a line that is refused though it stands, among others',
    'I4',
    [sent(unknown), sent({ ...later, lines: [line, other], ...short(1) })],
    final(),
  ),
  story('a SKU that is on no shelf though it was put there', 'contract', [sent(denied('unknown_sku'))], unsold),
  story('an opening that is lost', 'I3', [], final({ stock: [], flows: [] })),
  story('an adjustment done twice', 'I5', [adjusted(), adjusted(later)], restocked),
  story('an adjustment on a shard that does not own it', 'I2', [adjusted()], {
    ...restocked,
    adjustments: [{ ...restock, shard: 4 }],
  }),
  story(
    'another content taken for a replay',
    'I5',
    [adjusted(), adjusted({ delta: 5, ...later, replayed: true })],
    restocked,
  ),
  story('a conflict with nothing', 'contract', [sent(denied('idempotency_conflict'))], unsold),
  story(
    'a write-off that is refused while enough was left',
    'I8',
    [adjusted({ delta: -4, ...refused('insufficient_stock') })],
    unsold,
  ),

  story(
    'a shortage that names no line',
    'contract',
    [sent({ ...short(1), refused: [] })],
    final({ ...stock(1, 1), flows: [] }),
  ),
  story(
    'a shortage of a line that was not asked for',
    'contract',
    [sent(short(1, [{ ...line, order_detail_id: 'z' }]))],
    unsold,
  ),
  story('a shortage that does not say what is left', 'contract', [sent(short(null))], unsold),
  story(
    'a shortage told before a conflict',
    'contract',
    [
      sent(),
      sent({
        ...short(1, [other]),
        lines: [line, other],
        refused: [
          { ...other, code: 'insufficient_stock', leaved_amount: 1 },
          { ...line, code: 'cancelled', leaved_amount: null },
        ],
      }),
    ],
    final(),
  ),
  story(
    'what a look-up found, answered as new',
    'I5',
    [sent(unknown), found(30), sent({ invokedMs: 50, endedMs: 60 })],
    final(),
  ),
  story(
    'what a look-up found, refused',
    'I5',
    [sent(unknown), found(30), sent({ invokedMs: 50, endedMs: 60, ...short(3) })],
    final(),
  ),
  story(
    'what a look-up found, not found by another',
    'I5',
    [sent({ ...unknown, code: null }), found(30), notFound(50)],
    final(),
  ),
  story(
    'a number that was not true any more when a look-up had found the sale',
    'I8',
    [sent({ ...unknown, code: null }), found(30), read(5, 50)],
    final(),
  ),
  story('a first answer that calls itself a replay', 'I5', [sent({ replayed: true })], final()),
  story('an answer that does not say whether it is a replay', 'contract', [adjusted({ replayed: null })], restocked),
  story('an answer that repeats other lines', 'contract', [sent({ replays: null })], final()),
  story(
    'an answer that calls a new line a replay',
    'I5',
    [
      sent(),
      sent({ ...later, lines: [line, { ...line, order_detail_id: 'f' }], replays: [true, true], replayed: true }),
    ],
    final({ ...stock(1), flows: [flow, { ...flow, order_detail_id: 'f' }] }),
  ),
  story('a look-up that finds another quantity', 'I4', [sent(), lookedUp({ ...asDeducted, quantity: 3 }, 30)], final()),
  story('a look-up that finds another order', 'I4', [sent(), lookedUp({ ...asDeducted, order_id: 'x' }, 30)], final()),
  story('a look-up that cannot be understood', 'contract', [sent(), lookedUp(null, 30)], final()),
  story(
    'a look-up that finds a cancellation that never was',
    'I4',
    [sent(), lookedUp({ ...asDeducted, status: 'cancelled', returned: 2 }, 30)],
    final(),
  ),
  story(
    'a look-up that finds something pending that is no cart',
    'contract',
    [sent(unknown), lookedUp({ ...asDeducted, status: 'pending' }, 30)],
    final(),
  ),
  story('a read whose rows are not its sum', 'contract', [{ ...read(5, 1), addsUp: false }], unsold),
  story(
    'a plain read that denies what was put there',
    'contract',
    [{ ...read(0, 1), leaved_amount: null, ...refused('unknown_sku') }],
    unsold,
  ),

  story(
    'more returned than was sold',
    'I6',
    [sent(), gaveBack({ quantity: 3 })],
    final({ ...stock(6), flows: [{ ...flow, returned: 3 }], returns: [back(3)] }),
  ),
  story('a return that its flow does not count', 'I6', [sent(), gaveBack()], { ...returned, flows: [flow] }),
  story('a return that is not on the shelf again', 'I1', [sent(), gaveBack()], { ...returned, ...stock(3) }),
  story('a lost return', 'I3', [sent(), gaveBack()], final()),
  story('a return of nothing', 'I6', [gaveBack()], final({ flows: [], returns: [back(1)], ...stock(6) })),
  story('a return done twice', 'I5', [sent(), gaveBack(), gaveBack({ invokedMs: 50, endedMs: 60 })], returned),
  story(
    'a return refused though it could be',
    'I6',
    [sent(), gaveBack({ ...refused('over_return'), returnable: 0, returned: null })],
    final(),
  ),
  story(
    'a return refused as if nothing had been sold',
    'contract',
    [sent(), gaveBack({ ...refused('unknown_deduction'), returnable: null, returned: null })],
    final(),
  ),
  story(
    'a return that has to wait for an order on one shard',
    'contract',
    [sent(unknown), gaveBack({ ...refused('pending'), returnable: null, returned: null })],
    final(),
  ),
  story(
    'a return that has to wait for a cart that was done',
    'contract',
    [sent({ lines: [line, other] }), gaveBack({ ...refused('pending'), returnable: null, returned: null })],
    final({ flows: [flow, { ...flow, ...other, shard: 5 }] }),
  ),
  story(
    'a return that says that more can come back than was sold',
    'I6',
    [sent(), gaveBack({ returnable: 2 })],
    returned,
  ),
  story('a look-up that forgets a return', 'I6', [sent(), gaveBack(), found(50)], returned),

  story('a lost cancellation', 'I3', [sent(), cancelled()], final()),
  story('a cancellation that gave nothing back', 'I6', [sent(), cancelled()], { ...gone, returns: [] }),
  story('a deduction of what was cancelled', 'I4', [cancelled(), sent({ invokedMs: 50, endedMs: 60 })], buried),
  story(
    'a replay of what was cancelled',
    'I4',
    [sent(), cancelled(), sent({ invokedMs: 50, endedMs: 60, replayed: true })],
    gone,
  ),
  story('a refusal as cancelled of what never was', 'contract', [sent(denied('cancelled'))], unsold),
  story('a cancelled line found again', 'I4', [sent(), cancelled(), found(50)], gone),
  story('a cancellation by another order', 'I5', [sent(), cancelled({ order_id: 'x' })], {
    ...gone,
    flows: [{ ...flow, status: 'cancelled', order_id: 'x', returned: 2 }],
  }),
  story(
    'a refused cancellation without the states of its lines',
    'contract',
    [sent(), notCancelled('deducted', { states: null })],
    final(),
  ),
  story(
    'a refused cancellation of which no line has its code',
    'contract',
    [sent(), notCancelled('deducted', { states: [{ ...key, status: 'deducted', code: null }] })],
    final(),
  ),
  story('a refused cancellation that denies what was done', 'I5', [sent(), notCancelled('none')], final()),
  story(
    'a refused cancellation that denies what was cancelled',
    'I4',
    [sent(), cancelled(), notCancelled('deducted', { invokedMs: 50, endedMs: 60 })],
    gone,
  ),
  story(
    'a refused cancellation with a line that is cancelled, and never was',
    'I4',
    [sent(), notCancelled('cancelled')],
    final(),
  ),
  story(
    'a refused cancellation with a line that no cart holds',
    'contract',
    [sent(), notCancelled('pending')],
    final(),
  ),

  story('half a cart', 'I7', [sent({ ...unknown, lines: [line, other] })], final({ carts: [cart] })),
  story('a committed cart of which nothing stands', 'I7', [sent({ ...unknown, lines: [line, other] })], {
    ...unsold,
    carts: [cart],
  }),
  story('an open cart', 'I7', [sent({ ...unknown, lines: [line, other] })], {
    ...unsold,
    carts: [{ ...cart, state: 'open' }],
  }),
  story('units that stay held', 'I7', [], {
    ...unsold,
    ...stock(3, 5, 2),
    flows: [{ ...flow, status: 'pending', attempt: 1 }],
  }),
  story('a hold that stays noted', 'I7', [], { ...unsold, holds: [held] }),
  story('held units that nobody holds', 'I1', [], { ...unsold, ...stock(5, 5, 2) }),
  story(
    'a refusal because of units that a cart held for a while',
    'I8',
    [
      sent({ ...unknown, verdict: 'undone', lines: [{ ...line, quantity: 4 }, other] }),
      sent({ ...later, order_id: 'x', ...short(1) }),
    ],
    unsold,
  ),
  story(
    'a deduction told as not done, which was done and then cancelled',
    'I4',
    [sent({ ...unknown, verdict: 'undone', code: 'overloaded' }), cancelled()],
    gone,
  ),

  story('a refusal as not on sale of what was never paused', 'contract', [sent(denied('not_on_sale'))], unsold),
  story(
    'a refusal as not on sale of what was resumed',
    'contract',
    [sale('paused', 1), sale('on', 4), sent(denied('not_on_sale'))],
    unsold,
  ),
  story('a sale of what was paused', 'contract', [sale('paused', 1), sent()], final(stock(3, 5, 0, 'paused'))),
  story('a lost pause', 'I3', [sale('paused', 1)], unsold),
];

/** What happens in good order, or cannot be known. */
export const SOUND: readonly Omit<Story, 'invariant'>[] = [
  {
    name: 'a sale and its replay',
    history: [read(5, 1), sent(), sent({ ...later, replayed: true }), read(3, 50)],
    state: final(),
  },
  { name: 'an unknown that stands', history: [sent({ ...unknown, code: null })], state: final() },
  { name: 'an unknown that does not', history: [sent({ ...unknown, code: null })], state: unsold },
  { name: 'either number while it happens', history: [sent(), read(5, 15), read(3, 15)], state: final() },
  {
    name: 'an unknown that is found, and then repeated',
    history: [sent(unknown), found(30), sent({ invokedMs: 50, endedMs: 60, replayed: true })],
    state: final(),
  },
  {
    name: 'one more line that is short, and the others stand',
    history: [sent(), sent({ ...later, lines: [line, { ...other, quantity: 9 }], ...short(5, [other]) })],
    state: final(),
  },
  {
    name: 'a return, its replay and one too much',
    history: [
      sent(),
      gaveBack(),
      gaveBack({ invokedMs: 50, endedMs: 60, replayed: true }),
      gaveBack({
        return_id: 's',
        quantity: 2,
        ...refused('over_return'),
        replayed: null,
        returned: null,
        invokedMs: 50,
        endedMs: 60,
      }),
    ],
    state: returned,
  },
  {
    name: 'a cancellation, and the order again',
    history: [
      sent(),
      cancelled(),
      sent({ invokedMs: 50, endedMs: 60, ...denied('cancelled') }),
      cancelled({ invokedMs: 70, endedMs: 80, replayed: true }),
    ],
    state: gone,
  },
  {
    name: 'a cancellation before the order',
    history: [
      cancelled(),
      sent({ invokedMs: 50, endedMs: 60, ...denied('cancelled') }),
      lookedUp({ status: 'cancelled', order_id: order, quantity: 0, returned: 0 }, 70),
    ],
    state: buried,
  },
  {
    name: 'a cancellation that meets a cart',
    history: [
      sent({ ...unknown, code: null, lines: [line, other] }),
      cancelled({
        ...refused('pending'),
        replayed: null,
        states: [{ ...key, status: 'pending', code: 'pending' }],
        invokedMs: 12,
        endedMs: 14,
      }),
    ],
    state: unsold,
  },
  { name: 'a line that was not read, whatever it is', history: [sent(), unread(30), unread(31)], state: final() },
  { name: 'a cancellation by another order, refused', history: [sent(), notCancelled('deducted')], state: final() },
  {
    name: 'a cancellation by another order, refused after the cancellation',
    history: [sent(), cancelled(), notCancelled('cancelled', { invokedMs: 50, endedMs: 60 })],
    state: gone,
  },
  {
    name: 'a refused cancellation whose line was not read',
    history: [sent(), notCancelled('unavailable')],
    state: final(),
  },
  {
    name: 'fewer units while a cart held some',
    history: [sent({ ...unknown, verdict: 'undone', lines: [line, other] }), read(3, 15), read(3, 30)],
    state: unsold,
  },
  {
    name: 'a write-off that is refused because of units that a cart held for a while',
    history: [
      sent({ ...unknown, verdict: 'undone', lines: [{ ...line, quantity: 4 }, other] }),
      adjusted({ delta: -4, ...later, ...refused('insufficient_stock'), replayed: null }),
    ],
    state: unsold,
  },
  {
    name: 'a pause and its end',
    history: [sale('paused', 1), sent(denied('not_on_sale')), sale('on', 25), sent(later)],
    state: final(),
  },
  {
    name: 'a plain read of what may not be there yet',
    history: [
      { ...opened(sku_id), verdict: 'unknown', code: 'outcome_unknown', replayed: null, invokedMs: -20, endedMs: -10 },
      { ...read(0, -5), leaved_amount: null, ...refused('unknown_sku') },
    ],
    state: unsold,
  },
].map((one) => ({ ...one, history: told(one.history as Entry[]) }));
