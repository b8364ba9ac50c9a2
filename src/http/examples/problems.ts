import { QUANTITY_LIMIT } from '../../core/types.ts';
import { cancellationFailure } from '../cancellationFailure.ts';
import { invalid, problem } from '../errors.ts';
import type { ProblemCode, Reply } from '../errors.ts';
import { failureReply } from '../failureReply.ts';

const LINE = { order_detail_id: 'o-2-1', sku_id: 'phone', quantity: 4 };
const MORE_LINES = [
  { order_detail_id: 'o-3-1', sku_id: 'phone' },
  { order_detail_id: 'o-3-2', sku_id: 'case' },
] as const;

/** The refusal of a deduction with one line. */
function refusedLine(code: 'idempotency_conflict' | 'cancelled' | 'unknown_sku' | 'not_on_sale'): Reply {
  return failureReply({ is: 'refused', code, lines: [{ ...LINE, code }] });
}

/** A refusal without lines. */
function refused(code: 'idempotency_conflict' | 'unknown_sku' | 'stock_limit' | 'pending'): Reply {
  return failureReply({ is: 'refused', code, lines: [] });
}

/**
 * An answer for each problem, made by the code that answers. Calls that answer a problem in another form have an
 * example of their own.
 */
export const PROBLEM_EXAMPLES: Readonly<Record<ProblemCode, Reply>> = {
  invalid_request: invalid([
    { path: 'quantity', message: `must be a whole number from 1 to ${QUANTITY_LIMIT}, found 0.5` },
    { path: 'note', message: 'is not a known field' },
  ]),
  unauthorized: problem('unauthorized', 'send Authorization: Bearer <token>'),
  not_found: problem('not_found', 'no call has the address "/v2/skus"'),
  unknown_sku: problem('unknown_sku', 'no SKU has the sku_id "phone"'),
  unknown_deduction: problem('unknown_deduction', 'no deduction of SKU "phone" has the order_detail_id "o-1-1"'),
  method_not_allowed: problem('method_not_allowed', 'this address takes GET, found PATCH'),
  request_timeout: problem('request_timeout', 'the connection is closed'),
  insufficient_stock: failureReply({
    is: 'refused',
    code: 'insufficient_stock',
    lines: [{ ...LINE, code: 'insufficient_stock', leaved_amount: 3 }],
  }),
  idempotency_conflict: refused('idempotency_conflict'),
  cancelled: refusedLine('cancelled'),
  not_on_sale: refusedLine('not_on_sale'),
  over_return: failureReply({ is: 'refused', code: 'over_return', lines: [], returnable: 1 }, { quantity: 5 }),
  pending: refused('pending'),
  sku_exists: problem('sku_exists', 'the SKU was opened with 5 units, not with 6; nothing was changed', {
    leaved_amount: 3,
    opened_with: 5,
  }),
  stock_limit: refused('stock_limit'),
  payload_too_large: problem('payload_too_large', 'a body has at most 262144 bytes'),
  unsupported_media_type: problem(
    'unsupported_media_type',
    'Content-Type must be application/json, with no charset but utf-8, found "text/plain"',
  ),
  headers_too_large: problem('headers_too_large', 'the connection is closed'),
  rate_limited: problem('rate_limited', 'wait for the seconds in Retry-After, then send the request again'),
  internal: problem('internal', 'the gateway failed; its log has the reason'),
  overloaded: failureReply({ is: 'not_done', reason: '' }),
  outcome_unknown: failureReply({ is: 'unknown', reason: '' }),
  not_ready: problem('not_ready', 'the gateway is starting or draining, or no shard can be served'),
};

/** Problems of a deduction, which name the refused lines. */
export const DEDUCTION_PROBLEMS = {
  unknown_sku: refusedLine('unknown_sku'),
  idempotency_conflict: refusedLine('idempotency_conflict'),
};

/** Problems of a cancellation, which give the state of each line. */
export const CANCELLATION_PROBLEMS = {
  idempotency_conflict: cancellationFailure({
    is: 'refused',
    code: 'idempotency_conflict',
    lines: [
      { ...MORE_LINES[0], code: 'idempotency_conflict', status: 'deducted', quantity: 1 },
      { ...MORE_LINES[1], status: 'none' },
    ],
  }),
  pending: cancellationFailure({
    is: 'refused',
    code: 'pending',
    lines: [
      { ...MORE_LINES[0], code: 'pending', status: 'pending', quantity: 1 },
      { ...MORE_LINES[1], status: 'deducted', quantity: 2 },
    ],
  }),
};

/** The refusal of a write-off, which has no lines. */
export const ADJUSTMENT_PROBLEMS = {
  insufficient_stock: problem(
    'insufficient_stock',
    'the write-off needs 100 units, and 14 are left; nothing was changed',
    { leaved_amount: 14 },
  ),
};
