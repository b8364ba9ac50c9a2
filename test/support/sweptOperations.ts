import type { Operation } from '../../src/core/operation.ts';
import type { CartRecords, StockReader } from '../../src/core/ports.ts';

/** The ids of one case, its own: two SKUs of one shard and one beside it, and one name for everything else. */
export interface CaseIds {
  readonly sku_ids: readonly [string, string, string];
  readonly name: string;
  /** Orders whose cart records lie in slots that stay where they are. */
  readonly order_id: string;
  readonly next_order_id: string;
}

/** One call as a client makes it. */
export interface Call {
  readonly listener: 'publicUrl' | 'adminUrl';
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
}

/** What the journal and the row of a SKU must say. */
export interface Balance {
  readonly opening: number;
  readonly adjusted: number;
  readonly deducted: number;
  readonly flow_count: number;
  /** Absent: none. */
  readonly returned?: number;
}

/** One operation to be interrupted, and what may be seen of it. */
export interface SweptOperation {
  readonly name: string;
  /** Takes several transactions, and what others do meanwhile counts; a coordinator that is gone is given up after seconds. */
  readonly isCart?: true;
  /** Its first line is held by a cart whose record is lost. */
  readonly isHeld?: true;
  /** What is done before, undisturbed. */
  prepare(ids: CaseIds): readonly Call[];
  /** The call that is interrupted. */
  call(ids: CaseIds): Call;
  /** What it answers the first time, and when it is sent again after it happened; refusals are told by their code. */
  readonly answers: { readonly first: number | string; readonly again: number | string };
  /** The SKUs' balances when it had no effect and when it had its whole effect; equal when it changes nothing. */
  readonly without: readonly (Balance | null)[];
  readonly done: readonly (Balance | null)[];
}

const OPENED = 10;
const NEW: Balance = { opening: OPENED, adjusted: 0, deducted: 0, flow_count: 0 };

const sku = (sku_id: string): string => `/v1/skus/${encodeURIComponent(sku_id)}`;

/** Puts a SKU on the shelf. */
export const openCall = (sku_id: string): Call => ({
  listener: 'adminUrl',
  method: 'PUT',
  path: sku(sku_id),
  body: { leaved_amount: OPENED },
});

/** Reads what is left of a SKU. */
export const readCall = (sku_id: string): Call => ({ listener: 'publicUrl', method: 'GET', path: sku(sku_id) });

/** One order; each line is a SKU and its units. */
export const deductCall = (
  name: string,
  lines: readonly (readonly [string, number])[],
  order_id = `order-${name}`,
): Call => ({
  listener: 'publicUrl',
  method: 'POST',
  path: '/v1/deductions',
  body: {
    order_id,
    lines: lines.map(([sku_id, quantity], index) => ({ order_detail_id: `${name}-${index}`, sku_id, quantity })),
  },
});

const oneLine = ({ sku_ids: [first], name }: CaseIds): Call => deductCall(name, [[first, 2]]);
const openBoth = ({ sku_ids: [first, second] }: CaseIds): Call[] => [first, second].map(openCall);
const openAll = ({ sku_ids }: CaseIds): Call[] => sku_ids.map(openCall);
const openThenDeduct = (ids: CaseIds): Call[] => [...openBoth(ids), oneLine(ids)];

const cart = ({ sku_ids: [first, second, beside], name, order_id }: CaseIds): Call =>
  deductCall(
    name,
    [
      [first, 2],
      [second, 1],
      [beside, 3],
    ],
    order_id,
  );
const ONE_TAKEN: Balance = { ...NEW, deducted: 1, flow_count: 1 };
const THREE_TAKEN: Balance = { ...NEW, deducted: 3, flow_count: 1 };
const TWO_TAKEN: Balance = { ...NEW, deducted: 2, flow_count: 1 };
const NOTHING_CHANGES = { without: [TWO_TAKEN, NEW], done: [TWO_TAKEN, NEW] } as const;

/**
 * Every operation the product has, by the methods that carry it out: one that is added does not pass the types until
 * it stands here.
 */
export const SWEPT: Readonly<
  Record<
    Exclude<Operation['kind'], 'send' | 'receive'> | keyof StockReader | keyof CartRecords,
    readonly SweptOperation[]
  >
> = {
  deduct: [
    {
      name: 'deduct one line',
      prepare: openBoth,
      call: oneLine,
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [TWO_TAKEN, NEW],
    },
    {
      name: 'deduct several lines',
      prepare: openBoth,
      call: ({ sku_ids: [first, second], name }) =>
        deductCall(name, [
          [second, 3],
          [first, 1],
          [first, 2],
        ]),
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [
        { ...NEW, deducted: 3, flow_count: 2 },
        { ...NEW, deducted: 3, flow_count: 1 },
      ],
    },
    {
      name: 'deduct more than is left',
      prepare: openBoth,
      call: ({ sku_ids: [first, second], name }) =>
        deductCall(name, [
          [first, 1],
          [second, OPENED + 1],
        ]),
      answers: { first: 'insufficient_stock', again: 'insufficient_stock' },
      without: [NEW, NEW],
      done: [NEW, NEW],
    },
    {
      name: 'replay a deduction',
      prepare: openThenDeduct,
      call: oneLine,
      answers: { first: 200, again: 200 },
      ...NOTHING_CHANGES,
    },
  ],
  begin: [
    {
      name: 'sell a cart',
      isCart: true,
      prepare: openAll,
      call: cart,
      answers: { first: 201, again: 200 },
      without: [NEW, NEW, NEW],
      done: [TWO_TAKEN, ONE_TAKEN, THREE_TAKEN],
    },
  ],
  decide: [
    {
      name: 'sell a cart that is short on one shard',
      isCart: true,
      prepare: openAll,
      call: ({ sku_ids: [first, , beside], name, order_id }) =>
        deductCall(
          name,
          [
            [first, 1],
            [beside, OPENED + 1],
          ],
          order_id,
        ),
      answers: { first: 'insufficient_stock', again: 'insufficient_stock' },
      without: [NEW, NEW, NEW],
      done: [NEW, NEW, NEW],
    },
  ],
  // Every cart passes these.
  hold: [],
  settle: [],
  judge: [
    {
      name: 'deduct ids that a lost cart holds',
      isCart: true,
      isHeld: true,
      prepare: openBoth,
      call: oneLine,
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [TWO_TAKEN, NEW],
    },
  ],
  // Passed from time to time, whatever is asked.
  findLeftOver: [],
  return: [
    {
      name: 'return goods',
      prepare: openThenDeduct,
      call: ({ sku_ids: [first], name }) => ({
        listener: 'publicUrl',
        method: 'POST',
        path: '/v1/returns',
        body: { return_id: name, order_detail_id: `${name}-0`, sku_id: first, quantity: 1 },
      }),
      answers: { first: 201, again: 200 },
      without: [TWO_TAKEN, NEW],
      done: [{ ...TWO_TAKEN, returned: 1 }, NEW],
    },
  ],
  cancel: [
    {
      name: 'cancel an order',
      prepare: openThenDeduct,
      call: ({ sku_ids: [first, second], name }) => ({
        listener: 'publicUrl',
        method: 'POST',
        path: '/v1/cancellations',
        body: {
          order_id: `order-${name}`,
          lines: [
            { order_detail_id: `${name}-0`, sku_id: first },
            { order_detail_id: `${name}-1`, sku_id: second },
          ],
        },
      }),
      answers: { first: 201, again: 200 },
      without: [TWO_TAKEN, NEW],
      // The tombstone is a flow of nothing.
      done: [
        { ...TWO_TAKEN, returned: 2 },
        { ...NEW, flow_count: 1 },
      ],
    },
  ],
  sale: [
    {
      name: 'put on sale',
      prepare: openThenDeduct,
      call: ({ sku_ids: [first] }) => ({
        listener: 'adminUrl',
        method: 'PUT',
        path: `${sku(first)}/sale`,
        body: { state: 'on' },
      }),
      answers: { first: 200, again: 200 },
      ...NOTHING_CHANGES,
    },
  ],
  open: [
    {
      name: 'open a SKU',
      prepare: ({ sku_ids: [, second] }) => [openCall(second)],
      call: ({ sku_ids: [first] }) => openCall(first),
      answers: { first: 201, again: 200 },
      without: [null, NEW],
      done: [NEW, NEW],
    },
  ],
  adjust: [
    {
      name: 'adjust',
      prepare: openBoth,
      call: ({ sku_ids: [first], name }) => ({
        listener: 'adminUrl',
        method: 'POST',
        path: `${sku(first)}/adjustments`,
        body: { adjustment_id: name, delta: 5 },
      }),
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [{ ...NEW, adjusted: 5 }, NEW],
    },
  ],
  findFlows: [
    {
      name: 'look up deductions',
      prepare: openThenDeduct,
      call: ({ sku_ids: [first, second], name }) => ({
        listener: 'publicUrl',
        method: 'POST',
        path: '/v1/deductions/lookup',
        body: {
          lines: [
            { order_detail_id: `${name}-0`, sku_id: first },
            { order_detail_id: 'nobody', sku_id: second },
          ],
        },
      }),
      answers: { first: 200, again: 200 },
      ...NOTHING_CHANGES,
    },
  ],
  readStock: [
    {
      name: 'read a SKU',
      prepare: openThenDeduct,
      call: ({ sku_ids: [first] }) => readCall(first),
      answers: { first: 200, again: 200 },
      ...NOTHING_CHANGES,
    },
  ],
};

/** All of them in one list. */
export const OPERATIONS: readonly SweptOperation[] = Object.values(SWEPT).flat();
