import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import type { Deducted } from '../../core/outcome.ts';
import { shown } from '../../core/text/shown.ts';
import type { Trace } from '../../core/ports/tracer.ts';
import type { Order, OrderAnswer } from '../../service/orders/deductOrder.ts';
import type { FoundDeduction, LineRead } from '../../service/orders/lookUpLines.ts';
import { invalid, json, problem } from '../errors.ts';
import type { Reply } from '../errors.ts';
import * as examples from '../examples/orders.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import * as schemas from '../schemas.ts';
import { repeatedKeys } from './repeatedKeys.ts';

/** The use cases that deduct orders and look deductions up. */
export interface DeductionServices {
  deductOrder(order: Order, deadlineMs: DeadlineMs, trace: Trace | null): Promise<OrderAnswer>;
  lookUpLines(keys: readonly FlowKey[], deadlineMs: DeadlineMs, trace: Trace | null): Promise<readonly LineRead[]>;
}

/** The calls that deduct an order and look deductions up. */
export function deductionRoutes(services: DeductionServices): ApiCall[] {
  return [deductRoute(services), ...lookUpRoutes(services)];
}

function deductRoute(services: DeductionServices): ApiCall {
  return apiCall({
    method: 'post',
    path: '/v1/deductions',
    operationId: 'deductOrder',
    summary: 'Take the stock of all lines of an order, or of none',
    description:
      'All lines or none, whichever shards their SKUs are on. `order_detail_id` and `sku_id` together are the ' +
      'idempotency key of a line: the same ids with the same quantity and order, sent again, repeat the first ' +
      'outcome and take nothing. After a lost answer send the same request again, with the same ids.',
    body: schemas.deductionRequest,
    examples: examples.deductOrder,
    answers: { 200: schemas.deductionAnswer, 201: schemas.deductionAnswer },
    problems: [
      'unknown_sku',
      'insufficient_stock',
      'idempotency_conflict',
      'cancelled',
      'not_on_sale',
      'overloaded',
      'outcome_unknown',
    ],
    changes: true,
    async handle({ body, deadlineMs, trace }) {
      const faults = repeatedKeys(body.lines);
      if (faults.length > 0) return invalid(faults);
      return orderReply(body, await services.deductOrder(body, deadlineMs, trace));
    },
  });
}

function lookUpRoutes(services: DeductionServices): ApiCall[] {
  return [
    apiCall({
      method: 'get',
      path: '/v1/deductions/:order_detail_id',
      operationId: 'getDeduction',
      summary: 'Look up one deduction',
      description:
        '`pending`: the order spans several shards and is not decided yet; ask again a moment later. A deduction ' +
        'that is still under way can be committed up to 5 seconds after it was sent.',
      params: schemas.deductionParams,
      query: schemas.deductionQuery,
      examples: examples.getDeduction,
      answers: { 200: schemas.deductionState },
      problems: ['unknown_deduction', 'overloaded'],
      async handle({ params, query, deadlineMs, trace }) {
        const key = { order_detail_id: params.order_detail_id, sku_id: query.sku_id };
        const [read = NOT_READ] = await services.lookUpLines([key], deadlineMs, trace);
        if (read.is === 'unavailable') return failureReply({ is: 'not_done', reason: read.reason });
        return read.is === 'found' ? json(200, stateOf(read)) : problem('unknown_deduction', noDeduction(key));
      },
    }),

    apiCall({
      method: 'post',
      path: '/v1/deductions/lookup',
      operationId: 'lookUpDeductions',
      summary: 'Look up many deductions, for example after a crash of the shop',
      description:
        'One entry per line, in the order of the request. `none`: no deduction has these ids. ' +
        '`unavailable`: the line was not read, because its shard does not answer. Never treat `unavailable` as ' +
        '`none`.',
      body: schemas.lookupRequest,
      examples: examples.lookUpDeductions,
      answers: { 200: schemas.lookupAnswer },
      problems: ['overloaded'],
      async handle({ body, deadlineMs, trace }) {
        return lookUpReply(body.lines, await services.lookUpLines(body.lines, deadlineMs, trace));
      },
    }),
  ];
}

const NOT_READ: LineRead = { is: 'unavailable', reason: 'the line was not read' };

/**
 * A shard that does not answer leaves the lines of other shards answered. The reply is a problem only if no line was
 * read.
 */
function lookUpReply(keys: readonly FlowKey[], reads: readonly LineRead[]): Reply {
  const [first = NOT_READ] = reads;
  if (first.is === 'unavailable' && reads.every(({ is }) => is === 'unavailable'))
    return failureReply({ is: 'not_done', reason: first.reason });
  const lines = keys.map(({ order_detail_id, sku_id }, index) => {
    const read = reads[index] ?? NOT_READ;
    return read.is === 'found' ? stateOf(read) : { order_detail_id, sku_id, status: read.is };
  });
  return json(200, { lines });
}

function orderReply({ order_id, lines }: Order, { outcome, durable }: OrderAnswer): Reply {
  if (outcome.is === 'deducted') return deductedReply(order_id, outcome, durable);
  return failureReply(outcome, { line_count: lines.length });
}

function deductedReply(order_id: string, outcome: Deducted, durable: boolean): Reply {
  const replayed = outcome.lines.every((line) => line.replayed);
  const lines = outcome.lines.map(({ order_detail_id, sku_id, quantity, replayed, returned }) => ({
    order_detail_id,
    sku_id,
    quantity,
    replayed,
    returned,
  }));
  const body = { order_id, status: 'deducted', replayed, durability: durable ? 'mysql' : 'mysql_relaxed', lines };
  return replayed ? json(200, body, 'replayed') : json(201, body, 'deducted');
}

function noDeduction({ order_detail_id, sku_id }: FlowKey): string {
  return `no deduction of SKU ${shown(sku_id)} has the order_detail_id ${shown(order_detail_id)}`;
}

function stateOf({ shard, flow }: FoundDeduction): Record<string, unknown> {
  const { order_id, order_detail_id, sku_id, quantity, returned, status, sub_row, created_at } = flow;
  return { order_id, order_detail_id, sku_id, quantity, returned, status, shard, sub_row, created_at };
}
