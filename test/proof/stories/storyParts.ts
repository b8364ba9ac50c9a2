import { skuOn } from '../../support/engines/traffic.ts';
import type {
  AdjustmentSent,
  CancellationSent,
  DeductionSent,
  Entry,
  FinalState,
  FoundState,
  LineState,
  LookUpSent,
  OpeningSent,
  ReturnSent,
  SaleSent,
  StockRead,
} from '../history.ts';

/** A history with its final state, and the invariant that the checker must report as broken. */
export interface Story {
  readonly name: string;
  readonly invariant: string;
  readonly history: readonly Entry[];
  readonly state: FinalState;
}

export const sku_id = skuOn(3, 'checked');
const otherSku = skuOn(5, 'checked');
export const line = { sku_id, order_detail_id: 'd', quantity: 2 };
export const other = { sku_id: otherSku, order_detail_id: 'e', quantity: 2 };
export const order = skuOn(7, 'order');

export const whole = { invokedMs: 10, endedMs: 20, verdict: 'done', code: null } as const;
export const later = { invokedMs: 30, endedMs: 40 } as const;
export const refusedOrder = (code: string) => ({ verdict: 'refused', code }) as const;
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
  ...refusedOrder('insufficient_stock'),
  replayed: null,
  replays: null,
  refused: lines.map((one) => ({ ...one, code: 'insufficient_stock', leaved_amount })),
});
export const refusedWith = (code: string): Partial<DeductionSent> => ({
  ...refusedOrder(code),
  replayed: null,
  replays: null,
  refused: [{ ...line, code, leaved_amount: null }],
});
export const opened = (sku: string): OpeningSent => ({
  kind: 'opening',
  sku_id: sku,
  leaved_amount: 5,
  ...whole,
  invokedMs: -2,
  endedMs: -1,
  replayed: false,
});
export const read = (leaved_amount: number, invokedMs: number): StockRead => ({
  kind: 'read',
  sku_id,
  leaved_amount,
  ...whole,
  invokedMs,
  endedMs: invokedMs + 1,
});
export const lookedUp = (found: FoundState | null, invokedMs: number): LookUpSent => ({
  kind: 'lookup',
  ...line,
  found,
  ...whole,
  invokedMs,
  endedMs: invokedMs + 1,
});
export const notFound = (invokedMs: number): LookUpSent => lookedUp({ status: 'none' }, invokedMs);
export const asDeducted = { status: 'deducted', order_id: order, quantity: 2, returned: 0 } as const;
export const found = (invokedMs: number): LookUpSent => lookedUp(asDeducted, invokedMs);
export const adjusted = (more: Partial<AdjustmentSent> = {}): AdjustmentSent => ({
  kind: 'adjustment',
  sku_id,
  adjustment_id: 'a',
  delta: 4,
  ...whole,
  replayed: false,
  ...more,
});
export const returnSent = (more: Partial<ReturnSent> = {}): ReturnSent => ({
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
export const key = { sku_id, order_detail_id: 'd' };
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
export const notCancelled = (status: LineState['status'], more: Partial<CancellationSent> = {}): CancellationSent =>
  cancelled({
    order_id: 'x',
    ...refusedOrder('idempotency_conflict'),
    replayed: null,
    states: [{ ...key, status, code: 'idempotency_conflict' }],
    ...more,
  });
/** A look-up whose line could not be read. */
export const unreadable = (invokedMs: number): LookUpSent => ({
  ...lookedUp(null, invokedMs),
  verdict: 'undone',
  code: 'unavailable',
});
export const saleSent = (state: SaleSent['state'], invokedMs: number): SaleSent => ({
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
  transaction: null,
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
      sku_id: otherSku,
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
  records: [],
  transfers: [],
  layouts: [],
  ...more,
});
export const unsold = final({ flows: [], ...stock(5) });
export const restock = { sku_id, adjustment_id: 'a', delta: 4, shard: 3 };
export const restocked = final({ ...stock(9), flows: [], adjustments: [restock] });
export const returnRow = (quantity: number, return_id = 'r') => ({
  sku_id,
  order_detail_id: 'd',
  return_id,
  quantity,
  shard: 3,
});
export const returned = final({ ...stock(4), flows: [{ ...flow, returned: 1 }], returns: [returnRow(1)] });
export const soldAndCancelled = final({
  ...stock(5),
  flows: [{ ...flow, status: 'cancelled', returned: 2 }],
  returns: [returnRow(2, '')],
});
export const cancelledUnsold = final({ ...stock(5), flows: [{ ...flow, status: 'cancelled', quantity: 0 }] });
export const heldRow = { sku_id, order_detail_id: 'd', order_id: order, shard: 3 };
export const cartSold = { order_id: order, attempt: 1, state: 'committed', lines: [line, other], shard: 7 } as const;

export const withOpenings = (history: readonly Entry[]): Entry[] => [opened(sku_id), opened(otherSku), ...history];
export const story = (name: string, invariant: string, history: readonly Entry[], state: FinalState): Story => ({
  name,
  invariant,
  history: withOpenings(history),
  state,
});
