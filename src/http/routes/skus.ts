import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { shown } from '../../core/text/shown.ts';
import type { Trace } from '../../core/ports/tracer.ts';
import type { AvailableStock, Consistency } from '../../service/stock/findAvailability.ts';
import type { FlowsQuery, FoundFlowsPage } from '../../service/orders/readFlows.ts';
import type { SkuStock } from '../../service/stock/readSku.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import { invalid, json } from '../errors.ts';
import * as examples from '../examples/skus.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import { skuParams } from '../schemaParts.ts';
import * as schemas from '../schemas.ts';
import { unknownSku } from './unknownSku.ts';

/** The use cases that read the stock of SKUs. */
export interface SkuServices {
  readSku(sku_id: string, deadlineMs: DeadlineMs, trace: Trace | null): Promise<SkuStock | NotDone>;
  /** Units left of SKUs, one entry per SKU in the order of the request; null: its shard does not answer. */
  available(
    sku_ids: readonly string[],
    consistency: Consistency,
    deadlineMs: DeadlineMs,
  ): Promise<readonly (AvailableStock | null)[]>;
  readFlows(query: FlowsQuery, deadlineMs: DeadlineMs): Promise<FoundFlowsPage | NotDone>;
}

/** The calls that read one SKU and its journal. */
export function skuRoutes(services: SkuServices): ApiCall[] {
  return [
    apiCall({
      method: 'get',
      path: '/v1/skus/:sku_id',
      operationId: 'getSku',
      summary: 'Read the units left of a SKU',
      description:
        'Read from the primary. With `consistency=cached` the answer may be a little old: `age_ms` gives its age, ' +
        'and `sale` is absent.',
      params: skuParams,
      query: schemas.skuQuery,
      examples: examples.getSku,
      answers: { 200: schemas.skuAnswer },
      problems: ['unknown_sku', 'overloaded'],
      async handle({ params, query, deadlineMs, trace }) {
        if (query.consistency === 'cached') {
          const [reading = null] = await services.available([params.sku_id], 'cached', deadlineMs);
          if (reading === null) return failureReply({ is: 'not_done', reason: 'the shard of the SKU does not answer' });
          if (reading.leaved_amount === null) return unknownSku(params.sku_id);
          const { sku_id, leaved_amount, mode, rows } = reading;
          const in_transit = rows.reduce((units, row) => units - row.leaved_amount, leaved_amount);
          return json(200, { sku_id, leaved_amount, mode, sub_rows: rows, in_transit, age_ms: ageMsOf(reading) });
        }
        const stock = await services.readSku(params.sku_id, deadlineMs, trace);
        if (stock.is !== 'found') return failureReply(stock);
        if (stock.rows.length === 0) return unknownSku(params.sku_id);
        return json(200, skuOf(params.sku_id, stock));
      },
    }),

    apiCall({
      method: 'get',
      path: '/v1/skus/:sku_id/flows',
      operationId: 'listFlows',
      summary: 'Read the journal of a SKU, newest first',
      description: 'Send `next_cursor` as `cursor` to read the next page. The last page has null.',
      params: skuParams,
      query: schemas.flowsQuery,
      examples: examples.listFlows,
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
  ];
}

/** The call that reads the units left of many SKUs. */
export function availabilityRoute(services: Pick<SkuServices, 'available'>): ApiCall {
  return apiCall({
    method: 'post',
    path: '/v1/availability',
    operationId: 'getAvailability',
    summary: 'Read the units left of many SKUs, for product pages',
    description:
      'One entry per SKU, in the order of the request. A SKU whose shard does not answer is `unavailable`, and ' +
      'the others are answered.',
    body: schemas.availabilityRequest,
    examples: examples.getAvailability,
    answers: { 200: schemas.availabilityAnswer },
    problems: [],
    async handle({ body: { sku_ids, consistency }, deadlineMs }) {
      const readings = await services.available(sku_ids, consistency, deadlineMs);
      return json(200, { skus: sku_ids.map((sku_id, index) => availabilityOf(sku_id, readings[index] ?? null)) });
    },
  });
}

function availabilityOf(sku_id: string, reading: AvailableStock | null): Record<string, unknown> {
  if (reading === null) return { sku_id, status: 'unavailable' };
  const { leaved_amount } = reading;
  return { sku_id, status: leaved_amount === null ? 'unknown_sku' : 'known', leaved_amount, age_ms: ageMsOf(reading) };
}

/** The age of a reading, rounded up. */
function ageMsOf({ asOfMs }: { readonly asOfMs: DeadlineMs }): number {
  return Math.max(0, Math.ceil(performance.now() - asOfMs));
}

function skuOf(sku_id: string, { mode, leaved_amount, sale, rows, in_transit }: SkuStock): Record<string, unknown> {
  return { sku_id, leaved_amount, mode, sale, sub_rows: rows, in_transit };
}
