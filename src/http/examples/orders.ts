import { CANCELLATION_PROBLEMS, DEDUCTION_PROBLEMS } from './problems.ts';

// Examples of the calls that deduct, return and look up. One story: an order of a phone and two cases.

const PHONE = { order_detail_id: 'o-1-1', sku_id: 'phone' };
const CASE = { order_detail_id: 'o-1-2', sku_id: 'case' };
const ORDER = {
  order_id: 'o-1',
  lines: [
    { ...PHONE, quantity: 1 },
    { ...CASE, quantity: 2 },
  ],
};

const deducted = (replayed: boolean) => ({
  order_id: 'o-1',
  status: 'deducted',
  replayed,
  durability: 'mysql',
  lines: ORDER.lines.map((line) => ({ ...line, replayed, returned: 0 })),
});

const PHONE_STATE = {
  order_id: 'o-1',
  ...PHONE,
  quantity: 1,
  returned: 0,
  status: 'deducted',
  shard: 4,
  sub_row: 0,
  created_at: '2026-11-27T08:00:00.386435Z',
};

export const deductOrder = {
  body: ORDER,
  answers: { 200: deducted(true), 201: deducted(false) },
  problems: DEDUCTION_PROBLEMS,
};

export const getDeduction = { answers: { 200: PHONE_STATE } };

export const lookUpDeductions = {
  body: { lines: [PHONE, CASE, { order_detail_id: 'o-9-1', sku_id: 'charger' }] },
  answers: {
    200: {
      lines: [
        PHONE_STATE,
        { ...CASE, status: 'none' },
        { order_detail_id: 'o-9-1', sku_id: 'charger', status: 'unavailable' },
      ],
    },
  },
};

const RETURN = { return_id: 'r-1', ...CASE, quantity: 1 };
const RETURNED = { ...RETURN, returned: 1, returnable: 1 };

export const returnUnits = { body: RETURN, answers: { 200: RETURNED, 201: RETURNED } };

const CANCELLATION = { order_id: 'o-1', lines: [PHONE, CASE] };

export const cancelOrder = {
  body: CANCELLATION,
  answers: { 200: { ...CANCELLATION, status: 'cancelled', replayed: false } },
  problems: CANCELLATION_PROBLEMS,
};
