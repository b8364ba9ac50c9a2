import { flowKeyText } from '../../core/types.ts';
import type { CartLine, DeadlineMs, Line, OrderTransaction, ShardIndex } from '../../core/types.ts';
import type { Deduct, LineWithRow, ShardOperation } from '../../core/operation.ts';
import type { Deducted, Refused } from '../../core/outcome.ts';
import { byShard } from '../routing/lineRouter.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';

/** An order whose lines are on several shards. */
export interface Order {
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** A line with the shard that has its stock row. */
export type OrderLine = RoutedToShard<Line>;

/** The shard with the most lines, and of those the first: it coordinates the transaction. @param lines at least one */
export function coordinatorOf(lines: readonly { readonly shard: ShardIndex }[]): ShardIndex {
  let [coordinator, most] = [-1, 0];
  for (const [shard, { length }] of byShard(lines)) {
    if (length > most || (length === most && shard < coordinator)) [coordinator, most] = [shard, length];
  }
  return coordinator;
}

/** The deduction of some lines of an order on each of their shards. The part of the coordinator has the record. */
export function deductParts(
  { order_id, lines }: { readonly order_id: string; readonly lines: readonly OrderLine[] },
  own: readonly OrderLine[],
  transaction: OrderTransaction,
  isDecision: boolean,
): ShardOperation<Deduct>[] {
  return [...byShard(own)].map(([shard, ofShard]) => {
    const operation: Deduct = { kind: 'deduct', order_id, lines: ofShard.map(lineOf), transaction };
    if (shard !== transaction.coordinator) return { shard, operation };
    const record = lines.map(recordedLine);
    return { shard, operation: { ...operation, record, ...(isDecision ? { isDecision } : {}) } };
  });
}

/** A line without the shard, as an operation names it. */
export function lineOf({ sku_id, order_detail_id, quantity, row }: OrderLine): LineWithRow {
  return row === undefined ? { sku_id, order_detail_id, quantity } : { sku_id, order_detail_id, quantity, row };
}

function recordedLine({ sku_id, order_detail_id, quantity, shard }: OrderLine): CartLine {
  return { sku_id, order_detail_id, quantity, shard };
}

/** The same outcome with its lines in the order of the request. */
export function inOrderOf<T extends { readonly is: string }>(
  lines: readonly Line[],
  outcome: T | Deducted | Refused,
): T | Deducted | Refused {
  if (outcome.is !== 'deducted' && outcome.is !== 'refused') return outcome;
  const ended = outcome as Deducted | Refused;
  if (isInOrderOf(lines, ended.lines)) return ended;
  const places = new Map(lines.map((line, place) => [flowKeyText(line), place]));
  const placeOf = (line: Line): number => places.get(flowKeyText(line)) ?? lines.length;
  const sorted = ended.lines.toSorted((a, b) => placeOf(a) - placeOf(b));
  return { ...ended, lines: sorted } as Deducted | Refused;
}

/** Whether an outcome has all lines of the request in their order, which is the common case. */
function isInOrderOf(lines: readonly Line[], others: readonly Pick<Line, 'sku_id' | 'order_detail_id'>[]): boolean {
  return (
    lines.length === others.length &&
    lines.every(
      ({ sku_id, order_detail_id }, place) =>
        others[place]?.order_detail_id === order_detail_id && others[place].sku_id === sku_id,
    )
  );
}

/** The end of an order that holds of other orders blocked until its deadline. */
export const BLOCKED_UNTIL_DEADLINE = {
  is: 'not_done',
  reason: 'undecided carts blocked the order until its deadline',
} as const;

/** A decision comes at most this long after the transaction began, for any deadline of the request. */
const DECISION_MS = 4_500;

/** The latest moment for the decision of a transaction that begins now. */
export function decisionDeadline(deadlineMs: DeadlineMs): DeadlineMs {
  return Math.min(deadlineMs, performance.now() + DECISION_MS);
}
