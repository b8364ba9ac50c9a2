import type { DeadlineMs } from '../../core/nouns.ts';
import { deductOrder } from '../deductOrder.ts';
import type { Order, OrderAnswer } from '../deductOrder.ts';
import type { Parts } from '../parts.ts';
import { endOfTurn } from './endOfTurn.ts';
import type { Precheck } from './precheck.ts';

/** The same as `deductOrder`, but that orders for what is sold out need not reach a shard. */
export async function deductUnlessSoldOut(
  parts: Parts,
  precheck: Precheck,
  order: Order,
  deadlineMs: DeadlineMs,
): Promise<OrderAnswer> {
  const asked = precheck.refuse(order.lines);
  const refused = asked instanceof Promise ? await asked : asked;
  if (refused !== null) {
    // Heat is what is asked, also of what is sold out.
    for (const { sku_id } of order.lines) parts.heat.add(sku_id, 1);
    await endOfTurn();
    return { outcome: refused, durable: true };
  }
  const answer = await deductOrder(parts, order, deadlineMs);
  if (answer.outcome.is === 'refused') precheck.learn(answer.outcome);
  return answer;
}
