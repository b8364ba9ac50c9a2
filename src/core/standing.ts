import type { Flow, Line } from './nouns.ts';

/** What a line is when its key stands in the journal already. The same ids are the same wish, or a mistake. */
export function judgeStanding(
  order_id: string,
  line: Line,
  flow: Flow,
): 'replay' | 'idempotency_conflict' | 'cancelled' {
  if (flow.order_id !== order_id || flow.quantity !== line.quantity) return 'idempotency_conflict';
  return flow.status === 'cancelled' ? 'cancelled' : 'replay';
}
