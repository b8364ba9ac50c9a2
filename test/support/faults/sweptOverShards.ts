import {
  cancelCall,
  cart,
  deductCall,
  givenBack,
  nearCart,
  NEW,
  ONE_TAKEN,
  openAll,
  OPENED,
  THREE_TAKEN,
  TWO_TAKEN,
} from './sweptCalls.ts';
import type { SweptOperation } from './sweptOperation.ts';

const NOTHING = [NEW, NEW, NEW, NEW];
const SOLD = { answers: { first: 201, again: 200 } } as const;
const SHORT = { answers: { first: 'insufficient_stock', again: 'insufficient_stock' } } as const;
const CART_TAKEN = [TWO_TAKEN, ONE_TAKEN, THREE_TAKEN];
const NEAR_TAKEN = [TWO_TAKEN, ONE_TAKEN, NEW, THREE_TAKEN];

/**
 * On two shards of one server: one operation, all or nothing. The moved slot is on the other server at first, so the
 * first try is an order over two servers.
 */
export const ON_ONE_SERVER: readonly SweptOperation[] = [
  {
    ...{ name: 'sell an order on two shards of one server', isCart: true, ...SOLD },
    prepare: openAll,
    call: nearCart,
    without: NOTHING,
    done: NEAR_TAKEN,
  },
  {
    ...{ name: 'sell an order that is short on one of two shards of one server', isCart: true, ...SHORT },
    prepare: openAll,
    call: ({ sku_ids: [first, , , near], name, order_id }) =>
      deductCall(
        name,
        [
          [first, 1],
          [near, OPENED + 1],
        ],
        order_id,
      ),
    without: NOTHING,
    done: NOTHING,
  },
  {
    ...{ name: 'cancel an order on two shards of one server', isCart: true, ...SOLD },
    prepare: (ids) => [...openAll(ids), nearCart(ids)],
    call: (ids) => cancelCall(nearCart(ids)),
    without: NEAR_TAKEN,
    done: NEAR_TAKEN.map(givenBack),
  },
];

/** The server with two lines coordinates, and the other one holds its line. */
export const SOLD_OVER_SERVERS: readonly SweptOperation[] = [
  {
    ...{ name: 'sell a cart', isCart: true, ...SOLD },
    prepare: openAll,
    call: cart,
    without: [NEW, NEW, NEW],
    done: CART_TAKEN,
  },
];

export const REFUSED_OVER_SERVERS: readonly SweptOperation[] = [
  {
    // Both servers have one line, so the first of them coordinates. The hold on the other one is undone.
    ...{ name: 'sell a cart that is short on one shard', isCart: true, ...SHORT },
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
    without: [NEW, NEW, NEW],
    done: [NEW, NEW, NEW],
  },
  {
    ...{ name: 'sell a cart that is short where it is held', isCart: true, ...SHORT },
    prepare: openAll,
    call: ({ sku_ids: [first, second, beside], name, order_id }) =>
      deductCall(
        name,
        [
          [first, 1],
          [second, 1],
          [beside, OPENED + 1],
        ],
        order_id,
      ),
    without: [NEW, NEW, NEW],
    done: [NEW, NEW, NEW],
  },
];

/** Each server commits its part by itself, and the same cancellation, sent again, finishes the rest. */
export const CANCELLED_OVER_SERVERS: readonly SweptOperation[] = [
  {
    ...{ name: 'cancel a cart', isCart: true, ...SOLD },
    prepare: (ids) => [...openAll(ids), cart(ids)],
    call: (ids) => cancelCall(cart(ids)),
    without: CART_TAKEN,
    done: CART_TAKEN.map(givenBack),
  },
];
