import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import { IDENTIFIER_RULE } from '../core/identifier.ts';
import { ENTRIES_LIMIT } from '../core/journal.ts';
import { SUB_ROWS_LIMIT } from '../core/layout.ts';
import { LINES_LIMIT, QUANTITY_LIMIT, STOCK_LIMIT } from '../core/nouns.ts';
import { DIFFERENCE_KINDS, FLOWS_NAMED } from '../core/reconciliation.ts';
import { IDENTIFIER_FORMAT, MOMENT_FORMAT, TEXT_FORMAT } from '../schema/compile.ts';

/** The schemas that validate requests and describe the API: one source for both. Unknown fields are refused. */
export const record = <P extends TProperties>(properties: P, options: { readonly description?: string } = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

const id = (what: string) => Type.String({ format: IDENTIFIER_FORMAT, description: `${what}; ${IDENTIFIER_RULE}` });
export const skuId = id('what is sold');
const orderId = id('the order');
const orderDetailId = id('one line of the order; with the SKU the key of a deduction');
const returnId = id('the key of a return, with its deduction');
const adjustmentId = id('the key of an adjustment, with the SKU');
const quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_LIMIT, description: 'units' });
const leavedAmount = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units left to sell' });
export const shard = Type.Integer({ minimum: 0, description: 'the shard by its place in the configuration' });
const subRow = Type.Integer({ minimum: 0 });
export const durability = Type.Union([Type.Literal('mysql'), Type.Literal('mysql_relaxed')], {
  description: '`mysql_relaxed`: the commit may be lost with the power of the server',
});

const saleState = Type.Union([Type.Literal('on'), Type.Literal('paused')]);

export const skuParams = record({ sku_id: skuId });
export const deductionParams = record({ order_detail_id: orderDetailId });
export const deductionQuery = record({ sku_id: skuId });
export const skuQuery = record({
  consistency: Type.Optional(Type.Enum(['primary', 'cached'])),
});

export const deductionRequest = record({
  order_id: orderId,
  lines: Type.Array(record({ order_detail_id: orderDetailId, sku_id: skuId, quantity }), {
    minItems: 1,
    maxItems: LINES_LIMIT,
  }),
});

export const deductionAnswer = record({
  order_id: orderId,
  status: Type.Literal('deducted'),
  replayed: Type.Boolean({ description: 'true when every line is a replay' }),
  durability,
  lines: Type.Array(
    record({
      order_detail_id: orderDetailId,
      sku_id: skuId,
      quantity,
      replayed: Type.Boolean(),
      returned: Type.Integer({ minimum: 0 }),
    }),
  ),
});

export const deductionState = record({
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

export const lookupRequest = record({
  lines: Type.Array(record({ order_detail_id: orderDetailId, sku_id: skuId }), { minItems: 1, maxItems: LINES_LIMIT }),
});

export const lookupAnswer = record({
  lines: Type.Array(
    Type.Union([
      deductionState,
      record({ order_detail_id: orderDetailId, sku_id: skuId, status: Type.Literal('none') }),
      record({
        order_detail_id: orderDetailId,
        sku_id: skuId,
        status: Type.Literal('unavailable', { description: 'the line was not read, because its shard does not answer; never treat it as `none`' }),
      }),
    ]),
  ),
});

export const returnRequest = record({ return_id: returnId, order_detail_id: orderDetailId, sku_id: skuId, quantity });

export const returnAnswer = record({
  return_id: returnId,
  order_detail_id: orderDetailId,
  sku_id: skuId,
  quantity,
  returned: Type.Integer({ minimum: 0, description: 'units that came back so far' }),
  returnable: Type.Integer({ minimum: 0, description: 'units that can still come back' }),
});

export const cancellationRequest = record({
  order_id: orderId,
  lines: Type.Array(record({ order_detail_id: orderDetailId, sku_id: skuId }), { minItems: 1, maxItems: LINES_LIMIT }),
});

export const cancellationAnswer = record({
  order_id: orderId,
  status: Type.Literal('cancelled'),
  replayed: Type.Boolean({ description: 'true when every line was cancelled before' }),
  lines: Type.Array(record({ order_detail_id: orderDetailId, sku_id: skuId })),
});

export const skuAnswer = record({
  sku_id: skuId,
  leaved_amount: leavedAmount,
  mode: Type.Union([Type.Literal('single'), Type.Literal('hot')]),
  sale: Type.Optional(
    record(
      {
        state: saleState,
        from: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
          description: 'as it was set, also when it has passed; null: at once, or paused',
        }),
      },
      { description: 'absent with `consistency=cached`' },
    ),
  ),
  sub_rows: Type.Array(record({ sub_row: subRow, shard, leaved_amount: leavedAmount })),
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

export const availabilityRequest = record({
  sku_ids: Type.Array(skuId, { minItems: 1, maxItems: LINES_LIMIT }),
  consistency: Type.Enum(['cached', 'primary'], { description: '`cached`: it may be a little old' }),
});

const ageMs = Type.Integer({ minimum: 0, description: 'how old the answer is' });

export const availabilityAnswer = record({
  skus: Type.Array(
    Type.Union([
      record({ sku_id: skuId, status: Type.Literal('known'), leaved_amount: leavedAmount, age_ms: ageMs }),
      record({
        sku_id: skuId,
        status: Type.Literal('unknown_sku', { description: 'the SKU was never opened' }),
        leaved_amount: Type.Null(),
        age_ms: ageMs,
      }),
      record({
        sku_id: skuId,
        status: Type.Literal('unavailable', { description: 'its shard does not answer; never treat it as sold out or unknown' }),
      }),
    ]),
    { description: 'in the order asked' },
  ),
});

export const hotRequest = record({ sub_rows: Type.Integer({ minimum: 2, maximum: SUB_ROWS_LIMIT, description: 'rows, on as many shards as there are' }) });

export const hotAnswer = record({
  sku_id: skuId,
  mode: Type.Union([Type.Literal('single'), Type.Literal('hot')]),
  epoch: Type.Integer({ minimum: 0, description: 'raised by every layout' }),
  sub_rows: Type.Array(record({ sub_row: subRow, shard })),
});

/** A number in a query string is a text. */
const LIMIT_PATTERN = `^([1-9]|[1-9][0-9]|[1-4][0-9][0-9]|${ENTRIES_LIMIT})$`;

export const flowsQuery = record({
  limit: Type.Optional(Type.String({ pattern: LIMIT_PATTERN, description: `entries on a page, at most: 1 to ${ENTRIES_LIMIT}; absent: 50` })),
  cursor: Type.Optional(Type.String({ description: 'the `next_cursor` of the page before' })),
});

const createdAt = Type.String({ format: 'date-time', description: 'by the clock of the shard; of a cart: when it was held' });
const effect = Type.Integer({ description: 'units added to `leaved_amount`; below 0: taken' });
/** Absent only where the deduction of a return is missing, which a reconciliation names. */
const orderOfReturn = Type.Optional(orderId);
const anyUnits = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units' });

export const flowsAnswer = record({
  flows: Type.Array(
    Type.Union([
      record({ kind: Type.Literal('deduction'), order_id: orderId, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
      record({ kind: Type.Literal('return'), return_id: returnId, order_id: orderOfReturn, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
      record({ kind: Type.Literal('cancellation'), order_id: orderOfReturn, order_detail_id: orderDetailId, quantity, effect, created_at: createdAt }),
      record({
        kind: Type.Literal('adjustment'),
        adjustment_id: adjustmentId,
        reason: Type.Union([Type.String(), Type.Null()]),
        quantity: anyUnits,
        effect,
        created_at: createdAt,
      }),
      record({ kind: Type.Literal('opening'), quantity: anyUnits, effect, created_at: createdAt }),
    ]),
    {
      description:
        'newest first, the opening last. What undecided carts hold is not in it; all effects together are `leaved_amount` and what is held. ' +
        'A page may be shorter than asked for while there is a next one',
    },
  ),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'null: there is no older entry' }),
});

export const openRequest = record({ leaved_amount: leavedAmount });
const openedWith = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units in the opening stock' });
export const openAnswer = record({
  sku_id: skuId,
  leaved_amount: leavedAmount,
  opened_with: openedWith,
  replayed: Type.Boolean({ description: 'true: the SKU existed already; `leaved_amount` is what is left of it now' }),
});

export const saleRequest = record({
  state: saleState,
  from: Type.Optional(
    Type.String({
      format: MOMENT_FORMAT,
      description: 'only with `on`: on sale from then on; `2026-11-27T08:00:00Z`',
    }),
  ),
});
export const saleAnswer = record({
  sku_id: skuId,
  state: saleState,
  from: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
});

export const adjustmentRequest = record({
  adjustment_id: adjustmentId,
  delta: Type.Integer({
    minimum: -STOCK_LIMIT,
    maximum: STOCK_LIMIT,
    not: { const: 0 },
    description: 'units to add (above 0) or to write off (below 0)',
  }),
  reason: Type.Optional(Type.String({ maxLength: 255, format: TEXT_FORMAT })),
});

export const adjustmentAnswer = record({
  sku_id: skuId,
  adjustment_id: adjustmentId,
  delta: Type.Integer(),
  replayed: Type.Boolean(),
});

const count = Type.Integer({ minimum: 0 });

export const reconciliationRequest = record({ sku_id: Type.Optional(skuId) });
export const reconciliationAnswer = record({
  sku_count: Type.Integer({ minimum: 0, description: 'SKUs that were checked' }),
  flow_count: Type.Integer({ minimum: 0, description: 'their flows' }),
  shards: Type.Array(record({ shard, sku_count: count, flow_count: count })),
  differences: Type.Array(
    record({
      kind: Type.Enum([...DIFFERENCE_KINDS]),
      shard,
      sku_id: skuId,
      sub_row: Type.Optional(subRow),
      expected: Type.Integer(),
      actual: Type.Integer(),
      flow_count: Type.Integer({ minimum: 0, description: 'flows behind it' }),
      flows: Type.Array(orderDetailId, { maxItems: FLOWS_NAMED, description: 'some of them, by their order_detail_id' }),
      cart: Type.Union([record({ order_id: orderId, attempt: Type.Integer({ minimum: 1 }) }), Type.Null()], { description: 'the cart it is about' }),
    }),
    { description: 'what was wrong at two looks, a second apart' },
  ),
});

export const healthAnswer = record({ status: Type.Literal('alive') });
export const readyAnswer = record({ status: Type.Literal('ready'), durability });

const lineStatus = Type.Enum(['cancelled', 'deducted', 'pending', 'none', 'unavailable'], {
  description: 'only with a refused cancellation: the state of the line now; `unavailable`: it was not read, never treat it as `none`',
});

export const problemAnswer = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  errors: Type.Optional(Type.Array(record({ path: Type.String(), message: Type.String() }))),
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
      record({
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
