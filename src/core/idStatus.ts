import type { CartKey, Flow, Line } from './types.ts';

/**
 * The id status of a line whose key has a flow. The same ids mean the same request, or a mistake of the caller.
 *
 * `replay`: the line is deducted, or held by this attempt. `pending`: a cart holds it. `free`: the flow is an undone
 * hold, which a new attempt overwrites. `late`: this attempt was undone before its hold arrived. `elsewhere`: the flow
 * is a pointer.
 */
export type IdStatus = 'replay' | 'idempotency_conflict' | 'cancelled' | 'pending' | 'free' | 'late' | 'elsewhere';

/**
 * @param cart the order and attempt of the caller. An order on one shard has attempt 0, which is after all attempts of
 *   carts.
 */
export function idStatusOf(
  cart: CartKey,
  line: Line,
  flow: Pick<Flow, 'order_id' | 'attempt' | 'quantity' | 'status' | 'transaction'>,
): IdStatus {
  const { order_id, attempt } = cart;
  const isOwn = flow.order_id === order_id;
  switch (flow.status) {
    case 'void':
      return isOwn && attempt > 0 && flow.attempt >= attempt ? 'late' : 'free';
    case 'pending':
      if (!isOfCart(flow, cart)) return 'pending';
      return flow.quantity === line.quantity ? 'replay' : 'idempotency_conflict';
    case 'cancelled':
      return isOwn && (flow.quantity === line.quantity || flow.quantity === 0) ? 'cancelled' : 'idempotency_conflict';
    case 'moved':
      return 'elsewhere';
    case 'deducted':
      return isOwn && flow.quantity === line.quantity ? 'replay' : 'idempotency_conflict';
  }
}

/** Whether a hold belongs to an attempt to sell an order. */
export function isOfCart(hold: CartKey, cart: CartKey): boolean {
  return (
    hold.order_id === cart.order_id &&
    hold.attempt === cart.attempt &&
    hold.transaction?.transaction_id === cart.transaction?.transaction_id
  );
}
