import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, FlowKey } from '../core/nouns.ts';
import type { Deducted, NotDone } from '../core/outcome.ts';
import type { Return } from '../core/operation.ts';
import type { Trace } from '../core/trace.ts';
import type { CancelAnswer, Cancellation } from '../service/cancelOrder.ts';
import type { Order, OrderAnswer } from '../service/deductOrder.ts';
import type { FoundDeduction, LineRead } from '../service/lookUpLines.ts';
import type { AvailableStock, Consistency } from '../service/precheck/findAvailability.ts';
import type { FlowsQuery, FoundFlowsPage } from '../service/readFlows.ts';
import type { SkuStock } from '../service/readSku.ts';
import type { ReturnAnswer } from '../service/returnGoods.ts';
import { shown } from '../core/shown.ts';
import type { Fault } from '../schema/compile.ts';
import { cancellationFailure } from './cancellationFailure.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { invalid, json, problem } from './errors.ts';
import type { Reply } from './errors.ts';
import { failureReply } from './failureReply.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';
import { skuParams } from './schemaParts.ts';
import * as schemas from './schemas.ts';

/** The use cases behind the public listener. */
export interface PublicServices {
  deductOrder(order: Order, deadlineMs: DeadlineMs, trace: Trace | null): Promise<OrderAnswer>;
  returnGoods(operation: Return, deadlineMs: DeadlineMs, trace: Trace | null): Promise<ReturnAnswer>;
  cancelOrder(cancellation: Cancellation, deadlineMs: DeadlineMs, trace: Trace | null): Promise<CancelAnswer>;
  lookUpLines(keys: readonly FlowKey[], deadlineMs: DeadlineMs, trace: Trace | null): Promise<readonly LineRead[]>;
  readSku(sku_id: string, deadlineMs: DeadlineMs, trace: Trace | null): Promise<SkuStock | NotDone>;
  /** Units left of SKUs, one entry per SKU in the order asked; null: its shard does not answer. */
  available(
    sku_ids: readonly string[],
    consistency: Consistency,
    deadlineMs: DeadlineMs,
  ): Promise<readonly (AvailableStock | null)[]>;
  readFlows(query: FlowsQuery, deadlineMs: DeadlineMs): Promise<FoundFlowsPage | NotDone>;
}

/** The calls of shop back ends. */
export function publicRoutes(services: PublicServices): Route[] {
  return [
    route({
      method: 'post',
      path: '/v1/deductions',
      summary: 'Take the stock of all lines of an order, or of none',
      body: schemas.deductionRequest,
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
    }),

    route({
      method: 'get',
      path: '/v1/deductions/:order_detail_id',
      summary: 'Look up one deduction',
      params: schemas.deductionParams,
      query: schemas.deductionQuery,
      answers: { 200: schemas.deductionState },
      problems: ['unknown_deduction', 'overloaded'],
      async handle({ params, query, deadlineMs, trace }) {
        const key = { order_detail_id: params.order_detail_id, sku_id: query.sku_id };
        const [read = NOT_READ] = await services.lookUpLines([key], deadlineMs, trace);
        if (read.is === 'unavailable') return failureReply({ is: 'not_done', reason: read.reason });
        return read.is === 'found' ? json(200, stateOf(read)) : problem('unknown_deduction', noDeduction(key));
      },
    }),

    route({
      method: 'post',
      path: '/v1/deductions/lookup',
      summary: 'Look up many deductions: what a shop asks after its own crash',
      body: schemas.lookupRequest,
      answers: { 200: schemas.lookupAnswer },
      problems: ['overloaded'],
      async handle({ body, deadlineMs, trace }) {
        return lookUpReply(body.lines, await services.lookUpLines(body.lines, deadlineMs, trace));
      },
    }),

    route({
      method: 'get',
      path: '/v1/skus/:sku_id',
      summary: 'What is left of a SKU',
      params: skuParams,
      query: schemas.skuQuery,
      answers: { 200: schemas.skuAnswer },
      problems: ['unknown_sku', 'overloaded'],
      async handle({ params, query, deadlineMs, trace }) {
        if (query.consistency === 'cached') {
          const [sight = null] = await services.available([params.sku_id], 'cached', deadlineMs);
          if (sight === null) return failureReply({ is: 'not_done', reason: 'the shard of the SKU does not answer' });
          if (sight.leaved_amount === null) return problem('unknown_sku', `no SKU is called ${shown(params.sku_id)}`);
          const { sku_id, leaved_amount, mode, rows } = sight;
          const in_transit = rows.reduce((units, row) => units - row.leaved_amount, leaved_amount);
          return json(200, { sku_id, leaved_amount, mode, sub_rows: rows, in_transit, age_ms: ageMsOf(sight) });
        }
        const stock = await services.readSku(params.sku_id, deadlineMs, trace);
        if (stock.is !== 'found') return failureReply(stock);
        if (stock.rows.length === 0) return unknownSku(params.sku_id);
        return json(200, skuOf(params.sku_id, stock));
      },
    }),

    route({
      method: 'get',
      path: '/v1/skus/:sku_id/flows',
      summary: 'The journal of a SKU, newest first',
      params: skuParams,
      query: schemas.flowsQuery,
      answers: { 200: schemas.flowsAnswer },
      problems: ['unknown_sku', 'overloaded'],
      async handle({ params: { sku_id }, query: { limit = '50', cursor }, deadlineMs }) {
        const after = cursor === undefined ? null : decodeCursor(cursor);
        if (cursor !== undefined && after === null) {
          return invalid([{ path: 'cursor', message: `must be the next_cursor of a page, found ${shown(cursor)}` }]);
        }
        const found = await services.readFlows({ sku_id, limit: Number(limit), after }, deadlineMs);
        if (found.is !== 'found') return failureReply(found);
        if (found.page === null) return unknownSku(sku_id);
        const { entries, next } = found.page;
        return json(200, { flows: entries, next_cursor: next === null ? null : encodeCursor(next) });
      },
    }),

    route({
      method: 'post',
      path: '/v1/returns',
      summary: 'Take goods back',
      body: schemas.returnRequest,
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
        return json(replayed ? 200 : 201, { ...body, returned, returnable }, replayed ? 'replayed' : 'returned');
      },
    }),

    route({
      method: 'post',
      path: '/v1/cancellations',
      summary: 'Give back the rest of lines and block them for good',
      body: schemas.cancellationRequest,
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
          replayed ? 'replayed' : 'cancelled',
        );
      },
    }),

    route({
      method: 'post',
      path: '/v1/availability',
      summary: 'What is left of many SKUs: what product pages ask',
      body: schemas.availabilityRequest,
      answers: { 200: schemas.availabilityAnswer },
      problems: [],
      async handle({ body: { sku_ids, consistency }, deadlineMs }) {
        const sights = await services.available(sku_ids, consistency, deadlineMs);
        return json(200, { skus: sku_ids.map((sku_id, place) => availabilityOf(sku_id, sights[place] ?? null)) });
      },
    }),
  ];
}

const NOT_READ: LineRead = { is: 'unavailable', reason: 'the line was not read' };

/** One dead shard leaves the lines of the others answered; only when no line could be read there is no answer. */
function lookUpReply(keys: readonly FlowKey[], reads: readonly LineRead[]): Reply {
  const [first = NOT_READ] = reads;
  if (first.is === 'unavailable' && reads.every(({ is }) => is === 'unavailable'))
    return failureReply({ is: 'not_done', reason: first.reason });
  const lines = keys.map(({ order_detail_id, sku_id }, place) => {
    const read = reads[place] ?? NOT_READ;
    return read.is === 'found' ? stateOf(read) : { order_detail_id, sku_id, status: read.is };
  });
  return json(200, { lines });
}

function availabilityOf(sku_id: string, sight: AvailableStock | null): Record<string, unknown> {
  if (sight === null) return { sku_id, status: 'unavailable' };
  const { leaved_amount } = sight;
  return { sku_id, status: leaved_amount === null ? 'unknown_sku' : 'known', leaved_amount, age_ms: ageMsOf(sight) };
}

/** An order detail stands once in an order: the same pair twice cannot be told apart. */
function repeatedKeys(lines: readonly FlowKey[]): Fault[] {
  if (lines.length === 1) return [];
  const first = new Map<string, number>();
  return lines.flatMap((line, index) => {
    const key = flowKeyText(line);
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, index);
      return [];
    }
    return [{ path: `lines[${index}]`, message: `has the same sku_id and order_detail_id as lines[${earlier}]` }];
  });
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

function unknownSku(sku_id: string): Reply {
  return problem('unknown_sku', `no SKU is called ${shown(sku_id)}`);
}

function noDeduction({ order_detail_id, sku_id }: FlowKey): string {
  return `no deduction of SKU ${shown(sku_id)} has the order_detail_id ${shown(order_detail_id)}`;
}

function stateOf({ shard, flow }: FoundDeduction): Record<string, unknown> {
  const { order_id, order_detail_id, sku_id, quantity, returned, status, sub_row, created_at } = flow;
  return { order_id, order_detail_id, sku_id, quantity, returned, status, shard, sub_row, created_at };
}

/** How old what is known is, at least. */
function ageMsOf({ asOfMs }: { readonly asOfMs: DeadlineMs }): number {
  return Math.max(0, Math.ceil(performance.now() - asOfMs));
}

function skuOf(sku_id: string, { mode, leaved_amount, sale, rows, in_transit }: SkuStock): Record<string, unknown> {
  return { sku_id, leaved_amount, mode, sale, sub_rows: rows, in_transit };
}
