import type { CartKey, Flow, Line } from './nouns.ts';

/**
 * What a line is when its key stands in the journal already. The same ids are the same wish, or a mistake.
 *
 * `replay`: it is deducted, or held by this very attempt. `pending`: a cart holds it. `free`: an undone hold, which yields.
 * `late`: this attempt was undone before it came. `elsewhere`: a pointer.
 */
export type Standing = 'replay' | 'idempotency_conflict' | 'cancelled' | 'pending' | 'free' | 'late' | 'elsewhere';

/** @param cart who asks; an order on one shard asks as attempt 0 and comes after every attempt of its cart */
export function judgeStanding(
  { order_id, attempt }: CartKey,
  line: Line,
  flow: Pick<Flow, 'order_id' | 'attempt' | 'quantity' | 'status'>,
): Standing {
  const isOwn = flow.order_id === order_id;
  switch (flow.status) {
    case 'void':
      return isOwn && attempt > 0 && flow.attempt >= attempt ? 'late' : 'free';
    case 'pending':
      if (!isOwn || flow.attempt !== attempt) return 'pending';
      return flow.quantity === line.quantity ? 'replay' : 'idempotency_conflict';
    case 'cancelled':
      return isOwn && (flow.quantity === line.quantity || flow.quantity === 0) ? 'cancelled' : 'idempotency_conflict';
    case 'moved':
      return 'elsewhere';
    case 'deducted':
      return isOwn && flow.quantity === line.quantity ? 'replay' : 'idempotency_conflict';
  }
}
