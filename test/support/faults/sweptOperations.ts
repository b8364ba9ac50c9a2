import type { Operation } from '../../../src/core/operation.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
import type { OrderRecords } from '../../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../../src/core/ports/stockReader.ts';
import {
  cart,
  deductCall,
  NEW,
  NOTHING_CHANGES,
  ONE_TAKEN,
  oneLine,
  openAll,
  openBoth,
  openCall,
  OPENED,
  openThenDeduct,
  readCall,
  sku,
  THREE_TAKEN,
  TWO_TAKEN,
} from './sweptCalls.ts';
import type { Balance, Call, CaseIds } from './sweptCalls.ts';

/** One operation to be interrupted, and its allowed outcomes. */
export interface SweptOperation {
  readonly name: string;
  /**
   * Takes several transactions, and operations of others in between change its outcome. After some seconds other
   * gateways abort the cart of a coordinator that is gone.
   */
  readonly isCart?: true;
  /** The gateway sells it as a cart with attempts. */
  readonly isOld?: true;
  /** Its first line is held by a cart with attempts, or by a transaction, whose record is missing. */
  readonly heldBy?: 'cart' | 'transaction';
  /** The calls before it, without a fault. */
  prepare(ids: CaseIds): readonly Call[];
  /** The call that is interrupted. */
  call(ids: CaseIds): Call;
  /** The first answer, and the answer when it is sent again after its effect; a refusal by its code. */
  readonly answers: { readonly first: number | string; readonly again: number | string };
  /** The balances of the SKUs without any effect and with the whole effect; equal when it changes nothing. */
  readonly without: readonly (Balance | null)[];
  readonly done: readonly (Balance | null)[];
}

type Swept = Omit<SweptOperation, 'name'>;

const SOLD_LINE: Swept = {
  prepare: openBoth,
  call: oneLine,
  answers: { first: 201, again: 200 },
  without: [NEW, NEW],
  done: [TWO_TAKEN, NEW],
};

/** An order over two shards that are on different servers. */
const SOLD_CART: Swept = {
  prepare: openAll,
  call: cart,
  answers: { first: 201, again: 200 },
  without: [NEW, NEW, NEW],
  done: [TWO_TAKEN, ONE_TAKEN, THREE_TAKEN],
};

const SHORT_CART: Swept = {
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
};

/**
 * Every operation of the product, by the methods that carry it out. A new one fails the type check until it has an
 * entry here.
 */
export const SWEPT: Readonly<
  Record<
    | Exclude<Operation['kind'], 'send' | 'receive'>
    | Exclude<keyof StockEngine, 'apply' | 'groupOf'>
    | keyof StockReader
    | keyof CartRecords
    | Exclude<keyof OrderRecords, 'areUsable'>,
    readonly SweptOperation[]
  >
> = {
  deduct: [
    { name: 'deduct one line', ...SOLD_LINE },
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
  applyJointly: [
    {
      name: 'sell an order over two servers',
      isCart: true,
      ...SOLD_CART,
    },
    {
      name: 'sell an order over two servers that is short on one',
      isCart: true,
      ...SHORT_CART,
    },
  ],
  begin: [{ name: 'sell a cart', isCart: true, isOld: true, ...SOLD_CART }],
  decide: [{ name: 'sell a cart that is short on one shard', isCart: true, isOld: true, ...SHORT_CART }],
  // Every cart includes these.
  hold: [],
  settle: [],
  resolve: [
    {
      name: 'deduct ids that a cart without a record holds',
      isCart: true,
      heldBy: 'cart',
      ...SOLD_LINE,
    },
    {
      name: 'deduct ids that a transaction without a record holds',
      isCart: true,
      heldBy: 'transaction',
      ...SOLD_LINE,
    },
  ],
  // These run from time to time, without a request.
  findUnfinished: [],
  deleteAborted: [],
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
      // The tombstone is a flow without units.
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
            { order_detail_id: 'never sold', sku_id: second },
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

/** All operations in one list. */
export const SWEPT_OPERATIONS: readonly SweptOperation[] = Object.values(SWEPT).flat();
