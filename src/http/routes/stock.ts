import type { DeadlineMs } from '../../core/types.ts';
import type { Adjust, Open, SetSale } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import type { Trace } from '../../core/ports/tracer.ts';
import type { Routed } from '../../service/orders/applyOperation.ts';
import type { OpenAnswer } from '../../service/stock/openSku.ts';
import * as schemas from '../adminSchemas.ts';
import { invalid, json, problem } from '../errors.ts';
import type { Reply } from '../errors.ts';
import * as examples from '../examples/admin.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import { skuParams } from '../schemaParts.ts';
import { outcomeWord } from './outcomeWord.ts';

/** The use cases that open SKUs and change their stock or sale. */
export interface StockServices {
  openSku(operation: Open, deadlineMs: DeadlineMs, trace: Trace | null): Promise<OpenAnswer>;
  changeStock(
    operation: Adjust | SetSale,
    deadlineMs: DeadlineMs,
    trace: Trace | null,
  ): Promise<Routed<AppliedOutcome>>;
}

/** A pause has no end that is set in advance. A sale that begins later is `on`, with `from`. */
const FROM_WITH_PAUSED = { path: 'from', message: 'is allowed only with the state on; leave it out, or send on' };

/** The calls that open a SKU and adjust its stock. */
export function stockRoutes(services: StockServices): ApiCall[] {
  return [
    apiCall({
      method: 'put',
      path: '/v1/skus/:sku_id',
      operationId: 'openSku',
      summary: 'Open a SKU with its opening stock',
      description:
        'The same opening stock, sent again, changes nothing. A SKU that exists with another opening stock is ' +
        '`sku_exists`; change its stock by an adjustment.',
      params: skuParams,
      body: schemas.openRequest,
      examples: examples.openSku,
      answers: { 200: schemas.openAnswer, 201: schemas.openAnswer },
      problems: ['sku_exists', 'overloaded', 'outcome_unknown'],
      changes: true,
      async handle({ params, body, deadlineMs, trace }) {
        const { sku_id } = params;
        const { leaved_amount } = body;
        const outcome = await services.openSku({ kind: 'open', sku_id, leaved_amount }, deadlineMs, trace);
        return openedReply(sku_id, leaved_amount, outcome);
      },
    }),

    apiCall({
      method: 'post',
      path: '/v1/skus/:sku_id/adjustments',
      operationId: 'adjustStock',
      summary: 'Restock, or write units off',
      description:
        '`adjustment_id` is the idempotency key, together with the SKU. A write-off never takes more units than ' +
        'are left.',
      params: skuParams,
      body: schemas.adjustmentRequest,
      examples: examples.adjustStock,
      answers: { 200: schemas.adjustmentAnswer, 201: schemas.adjustmentAnswer },
      problems: [
        'unknown_sku',
        'insufficient_stock',
        'stock_limit',
        'idempotency_conflict',
        'overloaded',
        'outcome_unknown',
      ],
      changes: true,
      async handle({ params, body, deadlineMs, trace }) {
        const { sku_id } = params;
        const { adjustment_id, delta, reason = null } = body;
        const outcome = await services.changeStock(
          { kind: 'adjust', sku_id, adjustment_id, delta, reason },
          deadlineMs,
          trace,
        );
        if (outcome.is === 'refused' && outcome.leaved_amount !== undefined) {
          return notWrittenOff(-delta, outcome.leaved_amount);
        }
        if (outcome.is !== 'applied') return failureReply(outcome);
        const { replayed } = outcome;
        return json(replayed ? 200 : 201, { sku_id, adjustment_id, delta, replayed }, outcomeWord(outcome));
      },
    }),
  ];
}

/** The call that pauses or resumes the sale of a SKU. */
export function saleRoute(services: StockServices): ApiCall {
  return apiCall({
    method: 'put',
    path: '/v1/skus/:sku_id/sale',
    operationId: 'setSale',
    summary: 'Pause or resume the sale of a SKU, or set the time when it begins',
    description:
      'Effective at once on every gateway. While the sale is not on, deductions are refused with `not_on_sale`; ' +
      'replays, returns and cancellations go on.',
    params: skuParams,
    body: schemas.saleRequest,
    examples: examples.setSale,
    answers: { 200: schemas.saleAnswer },
    problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
    changes: true,
    async handle({ params, body, deadlineMs, trace }) {
      const { sku_id } = params;
      const { state } = body;
      if (state === 'paused' && body.from !== undefined) return invalid([FROM_WITH_PAUSED]);
      const from = body.from === undefined ? null : new Date(body.from).toISOString();
      const outcome = await services.changeStock({ kind: 'sale', sku_id, state, from }, deadlineMs, trace);
      if (outcome.is !== 'applied') return failureReply(outcome);
      return json(200, { sku_id, state, from });
    },
  });
}

function openedReply(sku_id: string, requested: number, outcome: OpenAnswer): Reply {
  if (outcome.is === 'opened') {
    const { leaved_amount, opened_with, replayed } = outcome;
    return json(replayed ? 200 : 201, { sku_id, leaved_amount, opened_with, replayed }, outcomeWord(outcome));
  }
  if (outcome.is !== 'exists') return failureReply(outcome);
  const { leaved_amount, opened_with } = outcome;
  const detail = `the SKU was opened with ${opened_with} units, not with ${requested}; nothing was changed`;
  return problem('sku_exists', detail, { leaved_amount, opened_with });
}

function notWrittenOff(units: number, leaved_amount: number): Reply {
  const detail = `the write-off needs ${units} units, and ${leaved_amount} are left; nothing was changed`;
  return problem('insufficient_stock', detail, { leaved_amount });
}
