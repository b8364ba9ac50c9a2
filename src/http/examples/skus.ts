// Examples of the calls that read SKUs.

export const getSku = {
  answers: {
    200: {
      sku_id: 'phone',
      leaved_amount: 14,
      mode: 'hot',
      sale: { state: 'on', from: null },
      sub_rows: [
        { shard: 4, sub_row: 0, leaved_amount: 8 },
        { shard: 5, sub_row: 1, leaved_amount: 4 },
      ],
      in_transit: 2,
    },
  },
};

export const listFlows = {
  answers: {
    200: {
      flows: [
        {
          kind: 'cancellation',
          order_id: 'o-1',
          order_detail_id: 'o-1-2',
          quantity: 1,
          effect: 1,
          created_at: '2026-11-27T08:20:00.055864Z',
        },
        {
          kind: 'return',
          return_id: 'r-1',
          order_id: 'o-1',
          order_detail_id: 'o-1-2',
          quantity: 1,
          effect: 1,
          created_at: '2026-11-27T08:10:00.827855Z',
        },
        {
          kind: 'deduction',
          order_id: 'o-1',
          order_detail_id: 'o-1-2',
          quantity: 2,
          effect: -2,
          created_at: '2026-11-27T08:00:00.386435Z',
        },
        {
          kind: 'adjustment',
          adjustment_id: 'restock-1',
          reason: 'delivery 4711',
          quantity: 10,
          effect: 10,
          created_at: '2026-11-26T12:00:00.120000Z',
        },
        { kind: 'opening', quantity: 5, effect: 5, created_at: '2026-11-26T09:00:00.348124Z' },
      ],
      next_cursor: null,
    },
  },
};

export const getAvailability = {
  body: { sku_ids: ['phone', 'nosuch', 'case'], consistency: 'cached' as const },
  answers: {
    200: {
      skus: [
        { sku_id: 'phone', status: 'known', leaved_amount: 14, age_ms: 180 },
        { sku_id: 'nosuch', status: 'unknown_sku', leaved_amount: null, age_ms: 3 },
        { sku_id: 'case', status: 'unavailable' },
      ],
    },
  },
};
