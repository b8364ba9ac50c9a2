import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone, Refused, OutcomeInDoubt } from '../../core/outcome.ts';
import type { Resized } from '../../service/hot/resize.ts';
import * as schemas from '../adminSchemas.ts';
import { json } from '../errors.ts';
import type { Reply } from '../errors.ts';
import * as examples from '../examples/admin.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import { skuParams } from '../schemaParts.ts';
import { outcomeWord } from './outcomeWord.ts';

/** The use case that changes the layout of a SKU. */
export interface LayoutServices {
  resizeSku(
    sku_id: string,
    sub_row_count: number,
    deadlineMs: DeadlineMs,
  ): Promise<Resized | Refused | NotDone | OutcomeInDoubt>;
}

/** A resize takes longer than a sale. Only its caller waits for it; orders of the SKU go on. */
const RESIZE_MS = 5_000;

/** The calls that split a SKU and merge it. */
export function layoutRoutes(services: LayoutServices): ApiCall[] {
  return [
    apiCall({
      method: 'put',
      path: '/v1/skus/:sku_id/hot',
      operationId: 'splitSku',
      summary: 'Split the stock of a SKU into several rows on different shards, while it sells',
      description: 'The answers that shops get do not change. With another number of rows a split SKU is split again.',
      params: skuParams,
      body: schemas.hotRequest,
      examples: examples.splitSku,
      answers: { 200: schemas.hotAnswer },
      problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
      changes: true,
      requestMs: RESIZE_MS,
      handle: async ({ params: { sku_id }, body: { sub_rows }, deadlineMs }) =>
        resizedReply(await services.resizeSku(sku_id, sub_rows, deadlineMs)),
    }),

    apiCall({
      method: 'delete',
      path: '/v1/skus/:sku_id/hot',
      operationId: 'mergeSku',
      summary: 'Merge the stock of a SKU into one row, while it sells',
      description: 'The answers that shops get do not change. A SKU that has one row stays as it is.',
      params: skuParams,
      examples: examples.mergeSku,
      answers: { 200: schemas.hotAnswer },
      problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
      changes: true,
      requestMs: RESIZE_MS,
      handle: async ({ params: { sku_id }, deadlineMs }) =>
        resizedReply(await services.resizeSku(sku_id, 1, deadlineMs)),
    }),
  ];
}

function resizedReply(outcome: Resized | Refused | NotDone | OutcomeInDoubt): Reply {
  if (outcome.is !== 'resized') return failureReply(outcome);
  const { sku_id, placement, epoch } = outcome.layout;
  return json(
    200,
    {
      sku_id,
      mode: placement.length > 1 ? 'hot' : 'single',
      epoch,
      sub_rows: placement.map((shard, sub_row) => ({ sub_row, shard })),
    },
    outcomeWord(outcome),
  );
}
