import { STOCK_LIMIT } from '../core/types.ts';
import type { NotDone, Refused, RefusalCode, RefusedLine, OutcomeInDoubt } from '../core/outcome.ts';
import { shown } from '../core/text/shown.ts';
import { problem } from './errors.ts';
import type { Reply } from './errors.ts';

/** The parts of a request that the detail of a refusal names. */
export interface RequestParts {
  /** Lines of the request. */
  readonly line_count?: number;
  /** Units of the request, if it has only one line. */
  readonly quantity?: number;
}

/** The clause that explains each refusal to the caller. */
const REASONS: Readonly<Record<RefusalCode, string>> = {
  idempotency_conflict: 'these ids were used before with another quantity, delta or order; use new ids',
  cancelled: 'these ids are cancelled permanently; use new ids',

  unknown_sku: 'no SKU has this sku_id; open it first',
  not_on_sale: 'the sale of the SKU is paused, or begins later',

  insufficient_stock: 'fewer units are left than requested',

  sku_exists: 'the SKU is open already, with another opening stock; change its stock by an adjustment',

  stock_limit: `the stock would be above the limit of ${STOCK_LIMIT} units`,
  unknown_deduction: 'no deduction has this sku_id and order_detail_id',

  over_return: 'more units requested than can still be returned',
  pending: 'the cart of these ids is undecided; send the same request again a moment later',
};

/**
 * Makes the answer for a request that was not done, or whose outcome is unknown. The reasons in the outcome name hosts
 * and statements, so they are logged and not sent to the caller.
 */
export function failureReply(outcome: Refused | NotDone | OutcomeInDoubt, asked: RequestParts = {}): Reply {
  switch (outcome.is) {
    case 'refused':
      return problem(outcome.code, `${reasonOf(outcome, asked)}; nothing was changed`, membersOf(outcome));
    case 'not_done':
      return problem(
        'overloaded',
        'the shard did not take the request in time; nothing was changed; send the same ids again',
      );
    case 'unknown':
      return problem('outcome_unknown', 'the shard gave no answer; send the same ids again, or look them up');
  }
}

/** The members of a refusal besides its code. */
function membersOf({ lines, returnable }: Refused): Record<string, unknown> {
  return { ...(returnable !== undefined && { returnable }), ...(lines.length > 0 && { lines }) };
}

function reasonOf({ code, lines, returnable }: Refused, { line_count = lines.length, quantity }: RequestParts): string {
  // Lines can fail for several reasons. The code of the answer is the reason to correct first.
  const first = lines.find((line) => line.code === code);
  if (first !== undefined) {
    const reason = reasonOfLine(first);
    return lines.length === 1 ? reason : `${lines.length} of ${line_count} lines were refused, the first: ${reason}`;
  }
  const isOverReturn = returnable !== undefined && quantity !== undefined;
  return isOverReturn ? `${quantity} requested, ${returnable} can still be returned` : REASONS[code];
}

function reasonOfLine({ order_detail_id, sku_id, code, quantity, leaved_amount }: RefusedLine): string {
  const reason = leaved_amount === undefined ? REASONS[code] : `${quantity} requested, ${leaved_amount} left`;
  return `order line ${shown(order_detail_id)} of SKU ${shown(sku_id)}: ${code}, ${reason}`;
}
