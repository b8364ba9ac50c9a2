import type { DeadlineMs } from '../../core/types.ts';
import type { Return } from '../../core/operation.ts';
import type { Trace } from '../../core/ports/tracer.ts';
import type { CancelAnswer, Cancellation } from '../../service/orders/cancelOrder.ts';
import type { ReturnAnswer } from '../../service/orders/returnUnits.ts';
import { cancellationFailure } from '../cancellationFailure.ts';
import { invalid, json } from '../errors.ts';
import * as examples from '../examples/orders.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import * as schemas from '../schemas.ts';
import { outcomeWord } from './outcomeWord.ts';
import { repeatedKeys } from './repeatedKeys.ts';

/** The use cases that return units to stock. */
export interface ReturnServices {
  returnGoods(operation: Return, deadlineMs: DeadlineMs, trace: Trace | null): Promise<ReturnAnswer>;
  cancelOrder(cancellation: Cancellation, deadlineMs: DeadlineMs, trace: Trace | null): Promise<CancelAnswer>;
}

/** The calls for returns and cancellations. */
export function returnRoutes(services: ReturnServices): ApiCall[] {
  return [
    apiCall({
      method: 'post',
      path: '/v1/returns',
      operationId: 'returnUnits',
      summary: 'Return units of a deduction to stock',
      description:
        '`return_id` is the idempotency key, together with the ids of the deduction. All returns of a deduction ' +
        'together never exceed its quantity.',
      body: schemas.returnRequest,
      examples: examples.returnUnits,
      answers: { 200: schemas.returnAnswer, 201: schemas.returnAnswer },
      problems: [
        'unknown_deduction',
        'over_return',
        'idempotency_conflict',
        'pending',
        'stock_limit',
        'overloaded',
        'outcome_unknown',
      ],
      changes: true,
      async handle({ body, deadlineMs, trace }) {
        const outcome = await services.returnGoods({ kind: 'return', ...body }, deadlineMs, trace);
        if (outcome.is !== 'returned') return failureReply(outcome, { quantity: body.quantity });
        const { replayed, returned, returnable } = outcome;
        return json(replayed ? 200 : 201, { ...body, returned, returnable }, outcomeWord(outcome, 'returned'));
      },
    }),

    apiCall({
      method: 'post',
      path: '/v1/cancellations',
      operationId: 'cancelOrder',
      summary: 'Return the remaining units of lines, and block their ids permanently',
      description:
        'A line that was never deducted is blocked too, so that a deduction that is still under way is refused ' +
        'with `cancelled`. A refusal gives the state of every line now. An attempt that changed only some lines ' +
        'is `outcome_unknown`: send it again.',
      body: schemas.cancellationRequest,
      examples: examples.cancelOrder,
      answers: { 200: schemas.cancellationAnswer },
      problems: ['idempotency_conflict', 'pending', 'stock_limit', 'overloaded', 'outcome_unknown'],
      changes: true,
      async handle({ body, deadlineMs, trace }) {
        const faults = repeatedKeys(body.lines);
        if (faults.length > 0) return invalid(faults);
        const outcome = await services.cancelOrder(body, deadlineMs, trace);
        if (outcome.is !== 'applied') return cancellationFailure(outcome);
        const { replayed } = outcome;
        return json(
          200,
          { order_id: body.order_id, status: 'cancelled', replayed, lines: body.lines },
          outcomeWord(outcome, 'cancelled'),
        );
      },
    }),
  ];
}
