import { STOCK_LIMIT } from '../core/types.ts';
import type { NotDone, OutcomeInDoubt } from '../core/outcome.ts';
import { shown } from '../core/text/shown.ts';
import type { CancelRefused } from '../service/orders/cancelOrder.ts';
import { problem } from './errors.ts';
import type { Reply } from './errors.ts';
import { failureReply } from './failureReply.ts';

/** The answer to a cancellation that was not done. A refusal has the state of every line. */
export function cancellationFailure(outcome: CancelRefused | NotDone | OutcomeInDoubt): Reply {
  if (outcome.is !== 'refused') return failureReply(outcome);
  const { code, lines } = outcome;
  const before = lines.filter((line) => line.status === 'cancelled' && line.code === undefined).length;
  const earlier =
    before === 0
      ? ''
      : `; ${before} of ${lines.length} lines ${before === 1 ? 'is' : 'are'} cancelled since an earlier attempt`;
  return problem(code, `${reasonOf(outcome)}; this attempt changed nothing${earlier}`, { lines });
}

function reasonOf({ code, lines }: CancelRefused): string {
  const [first, ...others] = lines.filter((line) => line.code === code);
  if (first === undefined) return `the stock of a SKU would be above ${STOCK_LIMIT} units`;
  const named = `order line ${shown(first.order_detail_id)} of SKU ${shown(first.sku_id)}`;
  const subject = others.length === 0 ? named : `${named} and ${others.length} more`;
  const isOne = others.length === 0;
  if (code === 'pending')
    return `${subject} ${isOne ? 'is' : 'are'} held by a cart that is not decided yet; send the same call again`;
  return `${subject} ${isOne ? 'belongs' : 'belong'} to another order`;
}
