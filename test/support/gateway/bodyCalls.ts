import { FORMS } from '../inputs/badInputs.ts';
import { fresh } from './gateway.ts';

/** Every call with a body, and a body that would be accepted. */
export function bodyCalls(sku: string, detail: string, order: object) {
  return [
    { form: FORMS.deductionRequest, listener: 'public', method: 'POST', path: '/v1/deductions', good: order },
    {
      form: FORMS.lookupRequest,
      listener: 'public',
      method: 'POST',
      path: '/v1/deductions/lookup',
      good: { lines: [{ order_detail_id: detail, sku_id: sku }] },
    },
    {
      form: FORMS.returnRequest,
      listener: 'public',
      method: 'POST',
      path: '/v1/returns',
      good: { return_id: 'r', order_detail_id: detail, sku_id: sku, quantity: 1 },
    },
    {
      form: FORMS.cancellationRequest,
      listener: 'public',
      method: 'POST',
      path: '/v1/cancellations',
      good: { order_id: 'order', lines: [{ order_detail_id: detail, sku_id: sku }] },
    },
    {
      form: FORMS.saleRequest,
      listener: 'admin',
      method: 'PUT',
      path: `/v1/skus/${sku}/sale`,
      good: { state: 'paused', from: '2026-11-27T08:00:00Z' },
    },
    {
      form: FORMS.openRequest,
      listener: 'admin',
      method: 'PUT',
      path: `/v1/skus/${fresh('new')}`,
      good: { leaved_amount: 5 },
    },
    {
      form: FORMS.adjustmentRequest,
      listener: 'admin',
      method: 'POST',
      path: `/v1/skus/${sku}/adjustments`,
      good: { adjustment_id: 'a', delta: 1, reason: 'b' },
    },
  ] as const;
}

/** Addresses with an id in their path, with `*` for the id. */
export function idAddresses(sku: string, detail: string) {
  return [
    { listener: 'public', method: 'GET', path: '/v1/skus/*', name: 'sku_id' },
    { listener: 'public', method: 'GET', path: `/v1/deductions/*?sku_id=${sku}`, name: 'order_detail_id' },
    { listener: 'public', method: 'GET', path: `/v1/deductions/${detail}?sku_id=*`, name: 'sku_id' },
    { listener: 'admin', method: 'PUT', path: '/v1/skus/*', name: 'sku_id', body: '{"leaved_amount":5}' },
    { listener: 'admin', method: 'PUT', path: '/v1/skus/*/sale', name: 'sku_id', body: '{"state":"on"}' },
    {
      listener: 'admin',
      method: 'POST',
      path: '/v1/skus/*/adjustments',
      name: 'sku_id',
      body: '{"adjustment_id":"a","delta":1}',
    },
  ] as const;
}
