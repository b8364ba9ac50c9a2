import { ADJUSTMENT_PROBLEMS } from './problems.ts';

// Examples of the calls of the admin listener.

export const openSku = {
  body: { leaved_amount: 5 },
  answers: {
    200: { sku_id: 'phone', leaved_amount: 3, opened_with: 5, replayed: true },
    201: { sku_id: 'phone', leaved_amount: 5, opened_with: 5, replayed: false },
  },
};

const adjusted = (replayed: boolean) => ({ sku_id: 'phone', adjustment_id: 'restock-1', delta: 10, replayed });

export const adjustStock = {
  body: { adjustment_id: 'restock-1', delta: 10, reason: 'delivery 4711' },
  answers: { 200: adjusted(true), 201: adjusted(false) },
  problems: ADJUSTMENT_PROBLEMS,
};

export const setSale = {
  body: { state: 'on' as const, from: '2026-11-27T08:00:00Z' },
  answers: { 200: { sku_id: 'phone', state: 'on', from: '2026-11-27T08:00:00.000Z' } },
};

export const splitSku = {
  body: { sub_rows: 2 },
  answers: {
    200: {
      sku_id: 'phone',
      mode: 'hot',
      epoch: 1,
      sub_rows: [
        { sub_row: 0, shard: 4 },
        { sub_row: 1, shard: 5 },
      ],
    },
  },
};

export const mergeSku = {
  answers: { 200: { sku_id: 'phone', mode: 'single', epoch: 2, sub_rows: [{ sub_row: 0, shard: 4 }] } },
};

export const reconcileStock = {
  body: { sku_id: 'phone' },
  answers: {
    200: {
      sku_count: 1,
      flow_count: 2,
      shards: [
        { shard: 0, sku_count: 1, flow_count: 2 },
        { shard: 1, sku_count: 0, flow_count: 0 },
      ],
      differences: [
        {
          kind: 'leaved_amount',
          shard: 0,
          sku_id: 'phone',
          sub_row: 0,
          expected: 3,
          actual: 4,
          flow_count: 0,
          flows: [],
          cart: null,
        },
      ],
    },
  },
};

export const listShards = {
  answers: {
    200: {
      shards: [
        {
          shard: 0,
          name: 'shard-00',
          state: 'serving',
          reason: null,
          breaker: 'closed',
          retries: 0,
          server_version: '8.4.6',
          pool: { connections_max: 8, open: 4, busy: 1, waiting: 0, waiting_max: 1_000 },
          slots: 1_024,
          durability: 'mysql',
          replicas: [{ host: '10.0.0.8', port: 3306, state: 'following', reason: null, lag_ms: 40 }],
        },
      ],
      hottest: [{ rank: 1, sku_id: 'phone', lines_per_second: 900, sub_rows_suggested: null }],
    },
  },
};

export const getMetrics = {
  answers: {
    200: [
      '# HELP stockgate_requests_total Requests answered, by call and outcome (a problem code, or what was done)',
      '# TYPE stockgate_requests_total counter',
      'stockgate_requests_total{route="POST /v1/deductions",outcome="deducted"} 27',
      '',
    ].join('\n'),
  },
};

export const getHealth = { answers: { 200: { status: 'alive' } } };

export const getReadiness = { answers: { 200: { status: 'ready', durability: 'mysql' } } };

export const getOpenApi = { answers: { 200: { openapi: '3.1.0', info: { title: 'stockgate', version: '1' } } } };
