import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import { IDENTIFIER_RULE, STORED_IDENTIFIER_RULE } from '../core/identifier.ts';
import { QUANTITY_LIMIT, STOCK_LIMIT } from '../core/nouns.ts';
import { IDENTIFIER_FORMAT, STORED_IDENTIFIER_FORMAT } from '../schema/wording.ts';

// Parts of the schemas that validate requests and describe the API.

/** An object of a request: an unknown member is rejected, because a misspelled one would be ignored otherwise. */
export const requestRecord = <P extends TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

/** An object of an answer: a client accepts members that it does not know, so that later versions can add some. */
export const answerRecord = <P extends TProperties>(properties: P, options: { readonly description?: string } = {}) =>
  Type.Object(properties, options);

/** An id that a row may have already: in answers, and in requests about what stands. */
const storedId = (what: string) =>
  Type.String({ format: STORED_IDENTIFIER_FORMAT, description: `${what}; ${STORED_IDENTIFIER_RULE}` });
export const skuId = storedId('what is sold');
export const orderId = storedId('the order');
export const orderDetailId = storedId('one line of the order; with the SKU the key of a deduction');
export const returnId = storedId('the key of a return, with its deduction');
export const adjustmentId = storedId('the key of an adjustment, with the SKU');

/** An id that a request brings into being, or that stands in a path. */
const newId = (what: string) => Type.String({ format: IDENTIFIER_FORMAT, description: `${what}; ${IDENTIFIER_RULE}` });
export const newSkuId = newId('what is sold');
export const newOrderId = newId('the order');
export const newOrderDetailId = newId('one line of the order; with the SKU the key of a deduction');
export const newReturnId = newId('the key of a return, with its deduction');
export const newAdjustmentId = newId('the key of an adjustment, with the SKU');
export const quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_LIMIT, description: 'units' });
export const leavedAmount = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units left to sell' });
export const shard = Type.Integer({ minimum: 0, description: 'the shard by its place in the configuration' });
export const subRow = Type.Integer({ minimum: 0 });

export const durability = Type.Union([Type.Literal('mysql'), Type.Literal('mysql_relaxed')], {
  description: '`mysql_relaxed`: the commit may be lost with the power of the server',
});
export const saleState = Type.Enum(['on', 'paused']);
export const skuParams = requestRecord({ sku_id: newSkuId });
