import type { Operation } from '../../../src/core/operation.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
import type { OrderRecords } from '../../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../../src/core/ports/stockReader.ts';
import {
  deductCall,
  NEW,
  NOTHING_CHANGES,
  oneLine,
  openBoth,
  openCall,
  OPENED,
  openThenDeduct,
  readCall,
  sku,
  TWO_TAKEN,
} from './sweptCalls.ts';
import { CANCELLED_OVER_SERVERS, ON_ONE_SERVER, REFUSED_OVER_SERVERS, SOLD_OVER_SERVERS } from './sweptOverShards.ts';
import type { SweptOperation } from './sweptOperation.ts';

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
    | keyof OrderRecords,
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
  applyJointly: ON_ONE_SERVER,
  begin: SOLD_OVER_SERVERS,
  decide: REFUSED_OVER_SERVERS,
  // Every cart includes these.
  hold: [],
  settle: [],
  resolve: [
    {
      name: 'deduct ids that a cart without a record holds',
      isCart: true,
      heldBy: 'cart',
      prepare: openBoth,
      call: oneLine,
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [TWO_TAKEN, NEW],
    },
    {
      name: 'deduct ids that a transaction without a record holds',
      isCart: true,
      heldBy: 'transaction',
      prepare: openBoth,
      call: oneLine,
      answers: { first: 201, again: 200 },
      without: [NEW, NEW],
      done: [TWO_TAKEN, NEW],
    },
  ],
  // These run from time to time, without a request.
  findUnfinished: [],
  deleteAborted: [],
  // An order over several servers includes it.
  areUsable: [],
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
    ...CANCELLED_OVER_SERVERS,
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
