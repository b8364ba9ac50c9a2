import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import { IDENTIFIER_RULE, STORED_IDENTIFIER_RULE } from '../core/identifier.ts';
import { QUANTITY_LIMIT, STOCK_LIMIT } from '../core/types.ts';
import { IDENTIFIER_FORMAT, STORED_IDENTIFIER_FORMAT } from '../schema/wording.ts';

// Parts of the schemas that validate requests and describe the API.

/** An object in a request. An unknown member is rejected, because a misspelled one would be ignored otherwise. */
export const requestRecord = <P extends TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

/** An object in an answer. Clients accept unknown members, so that later versions can add some. */
export const answerRecord = <P extends TProperties>(properties: P, options: { readonly description?: string } = {}) =>
  Type.Object(properties, options);

/** An id of an existing row: in answers, and in requests about existing rows. */
const storedId = (what: string) =>
  Type.String({ format: STORED_IDENTIFIER_FORMAT, description: `${what}; ${STORED_IDENTIFIER_RULE}` });
export const skuId = storedId('the product');
export const orderId = storedId('the order');
export const orderDetailId = storedId('one line of the order; with the SKU the key of a deduction');
export const returnId = storedId('the key of a return, with its deduction');
export const adjustmentId = storedId('the key of an adjustment, with the SKU');

/** An id that a request creates, or an id in a path. */
const newId = (what: string) => Type.String({ format: IDENTIFIER_FORMAT, description: `${what}; ${IDENTIFIER_RULE}` });
export const newSkuId = newId('the product');
export const newOrderId = newId('the order');
export const newOrderDetailId = newId('one line of the order; with the SKU the key of a deduction');
export const newReturnId = newId('the key of a return, with its deduction');
export const newAdjustmentId = newId('the key of an adjustment, with the SKU');
export const quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_LIMIT, description: 'units' });
export const leavedAmount = Type.Integer({ minimum: 0, maximum: STOCK_LIMIT, description: 'units left to sell' });
export const shard = Type.Integer({ minimum: 0, description: 'the index of the shard in the configuration' });
export const subRow = Type.Integer({ minimum: 0 });

export const durability = Type.Union([Type.Literal('mysql'), Type.Literal('mysql_relaxed')], {
  description: '`mysql_relaxed`: a power failure of the server may lose the commit',
});
export const saleState = Type.Enum(['on', 'paused']);
export const skuParams = requestRecord({ sku_id: newSkuId });
