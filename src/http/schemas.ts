import { Type } from 'typebox';
import { ENTRIES_LIMIT } from '../core/books/journal.ts';
import { LINES_LIMIT, QUANTITY_LIMIT, STOCK_LIMIT } from '../core/types.ts';
import { ALLOWED_KEYWORD } from '../schema/wording.ts';
import {
  adjustmentId,
  answerRecord,
  durability,
  leavedAmount,
  newOrderDetailId,
  newOrderId,
  newReturnId,
  newSkuId,
  orderDetailId,
  orderId,
  quantity,
  requestRecord,
  returnId,
  saleState,
  shard,
  skuId,
  subRow,
} from './schemaParts.ts';

// The schemas of the public calls. They validate requests and describe the API.

export const deductionParams = requestRecord({ order_detail_id: newOrderDetailId });

export const deductionQuery = requestRecord({ sku_id: skuId });

export const skuQuery = requestRecord({
  consistency: Type.Optional(Type.Enum(['primary', 'cached'])),
});

export const deductionRequest = requestRecord({
  order_id: newOrderId,
  lines: Type.Array(requestRecord({ order_detail_id: newOrderDetailId, sku_id: newSkuId, quantity }), {
    minItems: 1,
    maxItems: LINES_LIMIT,
  }),
});

export const deductionAnswer = answerRecord({
  order_id: orderId,
  status: Type.Literal('deducted'),
  replayed: Type.Boolean({ description: 'true when every line is a replay' }),
  durability,
  lines: Type.Array(
    answerRecord({
      order_detail_id: orderDetailId,
      sku_id: skuId,
      quantity,
      replayed: Type.Boolean(),
      returned: Type.Integer({ minimum: 0 }),
    }),
  ),
});

export const deductionState = answerRecord({
  order_id: orderId,
  order_detail_id: orderDetailId,
  sku_id: skuId,
  quantity: Type.Integer({
    minimum: 0,
    maximum: QUANTITY_LIMIT,
    description: 'units; 0 if the line was cancelled before it was deducted',
  }),
  returned: Type.Integer({ minimum: 0 }),
  status: Type.Union([Type.Literal('deducted'), Type.Literal('pending'), Type.Literal('cancelled')]),
  shard,
  sub_row: subRow,
  created_at: Type.String({ format: 'date-time' }),
});

export const lookupRequest = requestRecord({
  lines: Type.Array(requestRecord({ order_detail_id: orderDetailId, sku_id: skuId }), {
    minItems: 1,
    maxItems: LINES_LIMIT,
  }),
});

export const lookupAnswer = answerRecord({
  lines: Type.Array(
    Type.Union([
      deductionState,
      answerRecord({ order_detail_id: orderDetailId, sku_id: skuId, status: Type.Literal('none') }),
      answerRecord({
        order_detail_id: orderDetailId,
        sku_id: skuId,
        status: Type.Literal('unavailable', {
          description: 'the line was not read, because its shard does not answer; never treat it as `none`',
        }),
      }),
    ]),
  ),
});

export const returnRequest = requestRecord({
  return_id: newReturnId,
  order_detail_id: orderDetailId,
  sku_id: skuId,
  quantity,
});

export const returnAnswer = answerRecord({
  return_id: returnId,
  order_detail_id: orderDetailId,
  sku_id: skuId,
  quantity,
  returned: Type.Integer({ minimum: 0, description: 'units returned so far' }),
  returnable: Type.Integer({ minimum: 0, description: 'units that can still be returned' }),
});

export const cancellationRequest = requestRecord({
  order_id: orderId,
  lines: Type.Array(requestRecord({ order_detail_id: orderDetailId, sku_id: skuId }), {
    minItems: 1,
    maxItems: LINES_LIMIT,
  }),
});

export const cancellationAnswer = answerRecord({
  order_id: orderId,
  status: Type.Literal('cancelled'),
  replayed: Type.Boolean({ description: 'true when every line was cancelled before' }),
  lines: Type.Array(answerRecord({ order_detail_id: orderDetailId, sku_id: skuId })),
});

export const skuAnswer = answerRecord({
  sku_id: skuId,
  leaved_amount: leavedAmount,
  mode: Type.Union([Type.Literal('single'), Type.Literal('hot')]),
  sale: Type.Optional(
    answerRecord(
      {
        state: saleState,
        from: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
          description: 'the time that was set, even if it has passed; null: at once, or paused',
        }),
      },
      { description: 'absent with `consistency=cached`' },
    ),
  ),
  sub_rows: Type.Array(answerRecord({ sub_row: subRow, shard, leaved_amount: leavedAmount })),
  in_transit: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: STOCK_LIMIT,
      description: 'units that move between rows; `leaved_amount` is the sum of the rows and these',
    }),
  ),
  age_ms: Type.Optional(
    Type.Integer({ minimum: 0, description: 'the age of the answer; only with `consistency=cached`' }),
  ),
});

export const availabilityRequest = requestRecord({
  sku_ids: Type.Array(skuId, { minItems: 1, maxItems: LINES_LIMIT }),
  consistency: Type.Enum(['cached', 'primary'], { description: '`cached`: the answer may be up to `age_ms` old' }),
});
const ageMs = Type.Integer({ minimum: 0, description: 'the age of the answer' });

export const availabilityAnswer = answerRecord({
  skus: Type.Array(
    Type.Union([
      answerRecord({ sku_id: skuId, status: Type.Literal('known'), leaved_amount: leavedAmount, age_ms: ageMs }),
      answerRecord({
        sku_id: skuId,
        status: Type.Literal('unknown_sku', { description: 'the SKU was never opened' }),
        leaved_amount: Type.Null(),
        age_ms: ageMs,
      }),
      answerRecord({
        sku_id: skuId,
        status: Type.Literal('unavailable', {
          description: 'its shard does not answer; never treat it as sold out or unknown',
        }),
      }),
    ]),
    { description: 'in the order of the request' },
  ),
});

/** A pattern, because a number in a query string is a text. */
const LIMIT_PATTERN = `^([1-9]|[1-9][0-9]|[1-4][0-9][0-9]|${ENTRIES_LIMIT})$`;

export const flowsQuery = requestRecord({
  limit: Type.Optional(
    Type.String({
      pattern: LIMIT_PATTERN,
      [ALLOWED_KEYWORD]: `a whole number from 1 to ${ENTRIES_LIMIT}`,
      description: `entries on a page, at most: 1 to ${ENTRIES_LIMIT}; absent: 50`,
    }),
  ),
  cursor: Type.Optional(Type.String({ description: 'the `next_cursor` of the previous page' })),
});
const createdAt = Type.String({
  format: 'date-time',
  description: 'by the clock of the shard; for a cart: the time of its hold',
});
const effect = Type.Integer({ description: 'units added to `leaved_amount`; below 0: units taken' });

/** Absent only if the deduction of a return is missing; a reconciliation names such a return. */
const orderOfReturn = Type.Optional(orderId);
const anyUnits = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units' });

export const flowsAnswer = answerRecord({
  flows: Type.Array(
    Type.Union([
      answerRecord({
        kind: Type.Literal('deduction'),
        order_id: orderId,
        order_detail_id: orderDetailId,
        quantity,
        effect,
        created_at: createdAt,
      }),
      answerRecord({
        kind: Type.Literal('return'),
        return_id: returnId,
        order_id: orderOfReturn,
        order_detail_id: orderDetailId,
        quantity,
        effect,
        created_at: createdAt,
      }),
      answerRecord({
        kind: Type.Literal('cancellation'),
        order_id: orderOfReturn,
        order_detail_id: orderDetailId,
        quantity,
        effect,
        created_at: createdAt,
      }),
      answerRecord({
        kind: Type.Literal('adjustment'),
        adjustment_id: adjustmentId,
        reason: Type.Union([Type.String(), Type.Null()]),
        quantity: anyUnits,
        effect,
        created_at: createdAt,
      }),
      answerRecord({ kind: Type.Literal('opening'), quantity: anyUnits, effect, created_at: createdAt }),
    ]),
    {
      description:
        'newest first, the opening last. Units that undecided carts hold are not in it: the sum of all effects is ' +
        '`leaved_amount` plus the units held. A page may be shorter than `limit` even if there is a next page',
    },
  ),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'null: there is no older entry' }),
});
const lineStatus = Type.Enum(['cancelled', 'deducted', 'pending', 'none', 'unavailable'], {
  description:
    'only with a refused cancellation: the state of the line now; `unavailable`: the line was not read; ' +
    'never treat it as `none`',
});

export const problemAnswer = answerRecord({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  errors: Type.Optional(Type.Array(answerRecord({ path: Type.String(), message: Type.String() }))),
  returnable: Type.Optional(Type.Integer({ minimum: 0, description: 'only with `over_return`' })),
  leaved_amount: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'units left; only with `sku_exists`, and with `insufficient_stock` of a write-off',
    }),
  ),
  opened_with: Type.Optional(
    Type.Integer({ minimum: 0, description: 'units in the opening stock; only with `sku_exists`' }),
  ),
  lines: Type.Optional(
    Type.Array(
      answerRecord({
        order_detail_id: orderDetailId,
        sku_id: skuId,
        code: Type.Optional(Type.String({ description: 'the reason why this line was refused; absent: it was not' })),
        status: Type.Optional(lineStatus),
        quantity: Type.Optional(Type.Integer({ minimum: 0, maximum: QUANTITY_LIMIT })),
        leaved_amount: Type.Optional(leavedAmount),
      }),
    ),
  ),
});
