import { Type } from 'typebox';
import { SUB_ROWS_LIMIT } from '../core/hot/layout.ts';
import { STOCK_LIMIT } from '../core/types.ts';
import { DIFFERENCE_KINDS, NAMED_FLOWS_MAX } from '../core/books/reconciliation.ts';
import { MOMENT_FORMAT, TEXT_FORMAT } from '../schema/wording.ts';
import {
  adjustmentId,
  answerRecord,
  durability,
  leavedAmount,
  newAdjustmentId,
  orderDetailId,
  orderId,
  requestRecord,
  saleState,
  shard,
  skuId,
  subRow,
} from './schemaParts.ts';

// The schemas of the admin calls. They validate requests and describe the API.

export const hotRequest = requestRecord({
  sub_rows: Type.Integer({ minimum: 2, maximum: SUB_ROWS_LIMIT, description: 'rows, spread over the shards' }),
});

export const hotAnswer = answerRecord({
  sku_id: skuId,
  mode: Type.Union([Type.Literal('single'), Type.Literal('hot')]),
  epoch: Type.Integer({ minimum: 0, description: 'raised by every change of the layout' }),
  sub_rows: Type.Array(answerRecord({ sub_row: subRow, shard })),
});

export const openRequest = requestRecord({ leaved_amount: leavedAmount });
const openedWith = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units in the opening stock' });

export const openAnswer = answerRecord({
  sku_id: skuId,
  leaved_amount: leavedAmount,
  opened_with: openedWith,
  replayed: Type.Boolean({ description: 'true: the SKU existed already; `leaved_amount` is the units left of it now' }),
});

export const saleRequest = requestRecord({
  state: saleState,
  from: Type.Optional(
    Type.String({
      format: MOMENT_FORMAT,
      description: 'only with `on`: the start of the sale, such as `2026-11-27T08:00:00Z`',
    }),
  ),
});

export const saleAnswer = answerRecord({
  sku_id: skuId,
  state: saleState,
  from: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
});

export const adjustmentRequest = requestRecord({
  adjustment_id: newAdjustmentId,
  delta: Type.Integer({
    minimum: -STOCK_LIMIT,
    maximum: STOCK_LIMIT,
    not: { const: 0 },
    description: 'units to add (above 0) or to write off (below 0)',
  }),
  reason: Type.Optional(Type.String({ maxLength: 255, format: TEXT_FORMAT })),
});

export const adjustmentAnswer = answerRecord({
  sku_id: skuId,
  adjustment_id: adjustmentId,
  delta: Type.Integer(),
  replayed: Type.Boolean(),
});
const count = Type.Integer({ minimum: 0 });

export const reconciliationRequest = requestRecord({ sku_id: Type.Optional(skuId) });

const cartOfDifference = answerRecord({
  order_id: orderId,
  attempt: Type.Integer({ minimum: 0, description: '0 for an order that is named by its transaction' }),
  transaction: Type.Optional(
    answerRecord({
      transaction_id: Type.String({ description: '32 hexadecimal digits' }),
      coordinator: Type.Integer({ minimum: 0, description: 'the shard of its record' }),
    }),
  ),
});

export const reconciliationAnswer = answerRecord({
  sku_count: Type.Integer({ minimum: 0, description: 'SKUs that were checked' }),
  flow_count: Type.Integer({ minimum: 0, description: 'flows of these SKUs' }),
  shards: Type.Array(answerRecord({ shard, sku_count: count, flow_count: count })),
  differences: Type.Array(
    answerRecord({
      kind: Type.Enum([...DIFFERENCE_KINDS]),
      shard,
      sku_id: skuId,
      sub_row: Type.Optional(subRow),
      expected: Type.Integer(),
      actual: Type.Integer(),
      flow_count: Type.Integer({ minimum: 0, description: 'flows that the difference comes from' }),
      flows: Type.Array(orderDetailId, {
        maxItems: NAMED_FLOWS_MAX,
        description: 'some of these flows, by their order_detail_id',
      }),
      cart: Type.Union([cartOfDifference, Type.Null()], {
        description: 'the cart that the difference is about, or null',
      }),
    }),
    { description: 'differences that were found twice, a second apart' },
  ),
});

export const healthAnswer = answerRecord({ status: Type.Literal('alive') });

export const readyAnswer = answerRecord({ status: Type.Literal('ready'), durability });
