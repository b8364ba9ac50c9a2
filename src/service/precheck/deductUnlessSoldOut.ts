import type { DeadlineMs } from '../../core/types.ts';
import { deductOrder } from '../orders/deductOrder.ts';
import type { Order, OrderAnswer } from '../orders/deductOrder.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { endOfTurn } from './endOfTurn.ts';
import type { Precheck } from './precheck.ts';

/** The same as `deductOrder`, except that an order for a sold-out SKU need not reach a shard. */
export async function deductUnlessSoldOut(
  ports: ServicePorts,
  precheck: Precheck,
  order: Order,
  deadlineMs: DeadlineMs,
): Promise<OrderAnswer> {
  const prechecked = precheck.refuse(order.lines);
  const refused = prechecked instanceof Promise ? await prechecked : prechecked;
  if (refused !== null) {
    // The hot-key tracker counts requests, also for sold-out SKUs.
    for (const { sku_id } of order.lines) ports.hotKeys.add(sku_id, 1);
    await endOfTurn();
    return { outcome: refused, durable: true };
  }
  const answer = await deductOrder(ports, order, deadlineMs);
  if (answer.outcome.is === 'refused') precheck.learn(answer.outcome);
  return answer;
}
