import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import { IDENTIFIER_RULE, STORED_IDENTIFIER_RULE } from '../core/identifier.ts';
import { ENTRIES_LIMIT } from '../core/journal.ts';
import { SUB_ROWS_LIMIT } from '../core/layout.ts';
import { LINES_LIMIT, QUANTITY_LIMIT, STOCK_LIMIT } from '../core/nouns.ts';
import { DIFFERENCE_KINDS, FLOWS_NAMED } from '../core/reconciliation.ts';
import {
  ALLOWED_KEYWORD,
  IDENTIFIER_FORMAT,
  MOMENT_FORMAT,
  STORED_IDENTIFIER_FORMAT,
  TEXT_FORMAT,
} from '../schema/wording.ts';

// These schemas validate requests and describe the API: one source for both.

/** An object of a request: an unknown member is rejected, because a misspelled one would be ignored otherwise. */
export const requestRecord = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false });

/** An object of an answer: a client accepts members that it does not know, so that later versions can add some. */
export const answerRecord = <P extends TProperties>(properties: P, options: { readonly description?: string } = {}) =>
  Type.Object(properties, options);

/** An id that a row may have already: in answers, and in requests about what stands. */
const storedId = (what: string) =>
  Type.String({ format: STORED_IDENTIFIER_FORMAT, description: `${what}; ${STORED_IDENTIFIER_RULE}` });
export const skuId = storedId('what is sold');
const orderId = storedId('the order');
const orderDetailId = storedId('one line of the order; with the SKU the key of a deduction');
const returnId = storedId('the key of a return, with its deduction');
const adjustmentId = storedId('the key of an adjustment, with the SKU');

/** An id that a request brings into being, or that stands in a path. */
const newId = (what: string) => Type.String({ format: IDENTIFIER_FORMAT, description: `${what}; ${IDENTIFIER_RULE}` });
const newSkuId = newId('what is sold');
const newOrderId = newId('the order');
const newOrderDetailId = newId('one line of the order; with the SKU the key of a deduction');
const newReturnId = newId('the key of a return, with its deduction');
const newAdjustmentId = newId('the key of an adjustment, with the SKU');

const quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_LIMIT, description: 'units' });
const leavedAmount = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units left to sell' });
export const shard = Type.Integer({ minimum: 0, description: 'the shard by its place in the configuration' });
const subRow = Type.Integer({ minimum: 0 });
export const durability = Type.Union([Type.Literal('mysql'), Type.Literal('mysql_relaxed')], {
  description: '`mysql_relaxed`: the commit may be lost with the power of the server',
});

const saleState = Type.Enum(['on', 'paused']);

export const skuParams = requestRecord({ sku_id: newSkuId });
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
  quantity: Type.Integer({ minimum: 0, maximum: QUANTITY_LIMIT, description: 'units; 0 where it was cancelled before it was deducted' }),
  returned: Type.Integer({ minimum: 0 }),
  status: Type.Union([Type.Literal('deducted'), Type.Literal('pending'), Type.Literal('cancelled')]),
  shard,
  sub_row: subRow,
  created_at: Type.String({ format: 'date-time' }),
});

export const lookupRequest = requestRecord({
  lines: Type.Array(requestRecord({ order_detail_id: orderDetailId, sku_id: skuId }), { minItems: 1, maxItems: LINES_LIMIT }),
});

export const lookupAnswer = answerRecord({
  lines: Type.Array(
    Type.Union([
      deductionState,
      answerRecord({ order_detail_id: orderDetailId, sku_id: skuId, status: Type.Literal('none') }),
      answerRecord({
        order_detail_id: orderDetailId,
        sku_id: skuId,
        status: Type.Literal('unavailable', { description: 'the line was not read, because its shard does not answer; never treat it as `none`' }),
      }),
    ]),
  ),
});

export const returnRequest = requestRecord({ return_id: newReturnId, order_detail_id: orderDetailId, sku_id: skuId, quantity });

export const returnAnswer = answerRecord({
  return_id: returnId,
  order_detail_id: orderDetailId,
  sku_id: skuId,
  quantity,
  returned: Type.Integer({ minimum: 0, description: 'units that came back so far' }),
  returnable: Type.Integer({ minimum: 0, description: 'units that can still come back' }),
});

export const cancellationRequest = requestRecord({
  order_id: orderId,
  lines: Type.Array(requestRecord({ order_detail_id: orderDetailId, sku_id: skuId }), { minItems: 1, maxItems: LINES_LIMIT }),
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
          description: 'as it was set, also when it has passed; null: at once, or paused',
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
      description:
        'units that move between rows; `leaved_amount` is the sum of the rows and these. ' +
        'Absent with `consistency=cached`',
    }),
  ),
  age_ms: Type.Optional(Type.Integer({ minimum: 0, description: 'how old the answer is; only with `consistency=cached`' })),
});

export const availabilityRequest = requestRecord({
  sku_ids: Type.Array(skuId, { minItems: 1, maxItems: LINES_LIMIT }),
  consistency: Type.Enum(['cached', 'primary'], { description: '`cached`: it may be a little old' }),
});

const ageMs = Type.Integer({ minimum: 0, description: 'how old the answer is' });

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
        status: Type.Literal('unavailable', { description: 'its shard does not answer; never treat it as sold out or unknown' }),
      }),
    ]),
    { description: 'in the order asked' },
  ),
});

export const hotRequest = requestRecord({ sub_rows: Type.Integer({ minimum: 2, maximum: SUB_ROWS_LIMIT, description: 'rows, on as many shards as there are' }) });

export const hotAnswer = answerRecord({
  sku_id: skuId,
  mode: Type.Union([Type.Literal('single'), Type.Literal('hot')]),
  epoch: Type.Integer({ minimum: 0, description: 'raised by every layout' }),
  sub_rows: Type.Array(answerRecord({ sub_row: subRow, shard })),
});

/** A number in a query string is a text. */
const LIMIT_PATTERN = `^([1-9]|[1-9][0-9]|[1-4][0-9][0-9]|${ENTRIES_LIMIT})$`;

export const flowsQuery = requestRecord({
  limit: Type.Optional(
    Type.String({
      pattern: LIMIT_PATTERN,
      [ALLOWED_KEYWORD]: `a whole number from 1 to ${ENTRIES_LIMIT}`,
      description: `entries on a page, at most: 1 to ${ENTRIES_LIMIT}; absent: 50`,
    }),
  ),
  cursor: Type.Optional(Type.String({ description: 'the `next_cursor` of the page before' })),
});

const createdAt = Type.String({ format: 'date-time', description: 'by the clock of the shard; of a cart: when it was held' });
const effect = Type.Integer({ description: 'units added to `leaved_amount`; below 0: taken' });
/** Absent only where the deduction of a return is missing, which a reconciliation names. */
const orderOfReturn = Type.Optional(orderId);
const anyUnits = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units' });

export const flowsAnswer = answerRecord({
  flows: Type.Array(
    Type.Union([
      answerRecord({ kind: Type.Literal('deduction'), order_id: orderId, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
      answerRecord({ kind: Type.Literal('return'), return_id: returnId, order_id: orderOfReturn, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
      answerRecord({ kind: Type.Literal('cancellation'), order_id: orderOfReturn, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
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
        'newest first, the opening last. What undecided carts hold is not in it; all effects together are `leaved_amount` and what is held. ' +
        'A page may be shorter than asked for while there is a next one',
    },
  ),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'null: there is no older entry' }),
});

export const openRequest = requestRecord({ leaved_amount: leavedAmount });
const openedWith = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units in the opening stock' });
export const openAnswer = answerRecord({
  sku_id: skuId,
  leaved_amount: leavedAmount,
  opened_with: openedWith,
  replayed: Type.Boolean({ description: 'true: the SKU existed already; `leaved_amount` is what is left of it now' }),
});

export const saleRequest = requestRecord({
  state: saleState,
  from: Type.Optional(
    Type.String({
      format: MOMENT_FORMAT,
      description: 'only with `on`: on sale from then on; `2026-11-27T08:00:00Z`',
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
export const reconciliationAnswer = answerRecord({
  sku_count: Type.Integer({ minimum: 0, description: 'SKUs that were checked' }),
  flow_count: Type.Integer({ minimum: 0, description: 'their flows' }),
  shards: Type.Array(answerRecord({ shard, sku_count: count, flow_count: count })),
  differences: Type.Array(
    answerRecord({
      kind: Type.Enum([...DIFFERENCE_KINDS]),
      shard,
      sku_id: skuId,
      sub_row: Type.Optional(subRow),
      expected: Type.Integer(),
      actual: Type.Integer(),
      flow_count: Type.Integer({ minimum: 0, description: 'flows behind it' }),
      flows: Type.Array(orderDetailId, { maxItems: FLOWS_NAMED, description: 'some of them, by their order_detail_id' }),
      cart: Type.Union([answerRecord({ order_id: orderId, attempt: Type.Integer({ minimum: 1 }) }), Type.Null()], { description: 'the cart it is about' }),
    }),
    { description: 'what was wrong at two looks, a second apart' },
  ),
});

export const healthAnswer = answerRecord({ status: Type.Literal('alive') });
export const readyAnswer = answerRecord({ status: Type.Literal('ready'), durability });

const lineStatus = Type.Enum(['cancelled', 'deducted', 'pending', 'none', 'unavailable'], {
  description: 'only with a refused cancellation: the state of the line now; `unavailable`: it was not read, never treat it as `none`',
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
        code: Type.Optional(Type.String({ description: 'why this line refused the attempt; absent: it did not' })),
        status: Type.Optional(lineStatus),
        quantity: Type.Optional(Type.Integer({ minimum: 0, maximum: QUANTITY_LIMIT })),
        leaved_amount: Type.Optional(leavedAmount),
      }),
    ),
  ),
});
