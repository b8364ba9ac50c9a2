import { Type } from 'typebox';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Adjust, Open, SetSale } from '../core/operation.ts';
import type { AppliedOutcome, NotDone, Refused, Unknown } from '../core/outcome.ts';
import type { ReplicaState, ShardState } from '../core/ports.ts';
import { shown } from '../core/shown.ts';
import type { Trace } from '../core/trace.ts';
import type { Routed } from '../service/applyOperation.ts';
import type { RankedSku } from '../service/hottestSkus.ts';
import type { Resized } from '../service/hot/resize.ts';
import type { OpenAnswer } from '../service/openSku.ts';
import type { NoSuchSku, Reconciled } from '../service/reconcile.ts';
import { exactJson, invalid, json, problem } from './errors.ts';
import type { Reply } from './errors.ts';
import { failureReply } from './failureReply.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';
import * as schemas from './adminSchemas.ts';
import { skuParams } from './schemaParts.ts';
import { shardsAnswer } from './shardsAnswer.ts';

/** The use cases behind the admin listener. */
export interface AdminServices {
  openSku(operation: Open, deadlineMs: DeadlineMs, trace: Trace | null): Promise<OpenAnswer>;
  changeStock(
    operation: Adjust | SetSale,
    deadlineMs: DeadlineMs,
    trace: Trace | null,
  ): Promise<Routed<AppliedOutcome>>;
  resizeSku(
    sku_id: string,
    sub_row_count: number,
    deadlineMs: DeadlineMs,
  ): Promise<Resized | Refused | NotDone | Unknown>;
  reconcile(sku_id: string | null, deadlineMs: DeadlineMs): Promise<Reconciled | NoSuchSku | NotDone>;
  shards(): readonly ShardState[];
  /** Those of one shard that are asked by the pre-check. */
  replicasOf(shard: ShardIndex): readonly ReplicaState[];
  hottest(): readonly RankedSku[];
  slotCounts(): ReadonlyMap<ShardIndex, number>;
  readiness(): { readonly ready: boolean; readonly durable: boolean };
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  description(): string;
}

/** Nobody waits while a SKU is laid out but the one who asked for it. */
const RESIZE_MS = 5_000;
/** A pause has no end that is known beforehand: a sale that begins later is `on`, with `from`. */
const FROM_WITH_PAUSED = { path: 'from', message: 'goes with the state on; leave it out, or send on' };
/** Adding up all shards takes longer than selling. */
const RECONCILIATION_MS = 60_000;

/** The calls of operators, Prometheus and load balancers. */
export function adminRoutes(services: AdminServices): Route[] {
  return [
    route({
      method: 'put',
      path: '/v1/skus/:sku_id',
      summary: 'Put a SKU on the shelf with its opening stock',
      params: skuParams,
      body: schemas.openRequest,
      answers: { 200: schemas.openAnswer, 201: schemas.openAnswer },
      problems: ['sku_exists', 'overloaded', 'outcome_unknown'],
      changes: true,
      async handle({ params, body, deadlineMs, trace }) {
        const { sku_id } = params;
        const { leaved_amount } = body;
        const outcome = await services.openSku({ kind: 'open', sku_id, leaved_amount }, deadlineMs, trace);
        return openedReply(sku_id, leaved_amount, outcome);
      },
    }),

    route({
      method: 'post',
      path: '/v1/skus/:sku_id/adjustments',
      summary: 'Restock, or write units off',
      params: skuParams,
      body: schemas.adjustmentRequest,
      answers: { 200: schemas.adjustmentAnswer, 201: schemas.adjustmentAnswer },
      problems: [
        'unknown_sku',
        'insufficient_stock',
        'stock_limit',
        'idempotency_conflict',
        'overloaded',
        'outcome_unknown',
      ],
      changes: true,
      async handle({ params, body, deadlineMs, trace }) {
        const { sku_id } = params;
        const { adjustment_id, delta, reason = null } = body;
        const outcome = await services.changeStock(
          { kind: 'adjust', sku_id, adjustment_id, delta, reason },
          deadlineMs,
          trace,
        );
        if (outcome.is === 'refused' && outcome.leaved_amount !== undefined) {
          return notWrittenOff(-delta, outcome.leaved_amount);
        }
        if (outcome.is !== 'applied') return failureReply(outcome);
        const { replayed } = outcome;
        return json(replayed ? 200 : 201, { sku_id, adjustment_id, delta, replayed }, doneWord(outcome));
      },
    }),

    route({
      method: 'get',
      path: '/v1/shards',
      summary: 'Slots, pool and state of every shard, and the SKUs that are asked for most',
      answers: { 200: shardsAnswer },
      problems: [],
      handle() {
        const slots = services.slotCounts();
        const shards = services.shards().map(({ durable, ...state }) => ({
          ...state,
          slots: slots.get(state.shard) ?? 0,
          durability: durable === null ? null : durabilityWord(durable),
          replicas: services
            .replicasOf(state.shard)
            .map(({ lagMs, ...replica }) => ({ ...replica, lag_ms: lagMs === null ? null : Math.round(lagMs) })),
        }));
        return json(200, { shards, hottest: services.hottest() });
      },
    }),

    route({
      method: 'get',
      path: '/metrics',
      summary: 'Metrics for Prometheus',
      answers: { 200: 'text' },
      problems: [],
      async handle() {
        const { contentType, text } = await services.metrics();
        return { status: 200, contentType, body: text, headers: {}, outcome: 'done' };
      },
    }),

    route({
      method: 'get',
      path: '/healthz',
      summary: 'Alive',
      answers: { 200: schemas.healthAnswer },
      problems: [],
      open: true,
      handle: () => json(200, { status: 'alive' }),
    }),

    route({
      method: 'get',
      path: '/readyz',
      summary: 'Ready to take traffic',
      answers: { 200: schemas.readyAnswer },
      problems: ['not_ready'],
      open: true,
      handle() {
        const { ready, durable } = services.readiness();
        if (!ready) return problem('not_ready', 'starting, draining, or no shard can be served');
        return json(200, { status: 'ready', durability: durabilityWord(durable) });
      },
    }),

    route({
      method: 'get',
      path: '/openapi.json',
      summary: 'The contract as OpenAPI 3.1',
      answers: { 200: Type.Object({}) },
      problems: [],
      handle: () => ({
        status: 200,
        contentType: 'application/json',
        body: services.description(),
        headers: {},
        outcome: 'done',
      }),
    }),

    route({
      method: 'put',
      path: '/v1/skus/:sku_id/sale',
      summary: 'Pause and resume the sale of a SKU, or let it begin later',
      params: skuParams,
      body: schemas.saleRequest,
      answers: { 200: schemas.saleAnswer },
      problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
      changes: true,
      async handle({ params, body, deadlineMs, trace }) {
        const { sku_id } = params;
        const { state } = body;
        if (state === 'paused' && body.from !== undefined) return invalid([FROM_WITH_PAUSED]);
        const from = body.from === undefined ? null : new Date(body.from).toISOString();
        const outcome = await services.changeStock({ kind: 'sale', sku_id, state, from }, deadlineMs, trace);
        if (outcome.is !== 'applied') return failureReply(outcome);
        return json(200, { sku_id, state, from });
      },
    }),

    route({
      method: 'post',
      path: '/v1/reconciliations',
      summary:
        'Hold stock rows, journals and carts against each other, of one SKU or all; may take up to a minute, one at a time',
      body: schemas.reconciliationRequest,
      answers: { 200: schemas.reconciliationAnswer },
      problems: ['unknown_sku', 'overloaded'],
      requestMs: RECONCILIATION_MS,
      async handle({ body: { sku_id = null }, deadlineMs }) {
        const outcome = await services.reconcile(sku_id, deadlineMs);
        if (outcome.is === 'not_done') return failureReply(outcome);
        if (outcome.is === 'unknown') return problem('unknown_sku', `no SKU is called ${shown(sku_id)}`);
        return reconciledReply(outcome);
      },
    }),

    route({
      method: 'put',
      path: '/v1/skus/:sku_id/hot',
      summary: 'Lay the stock of a SKU out in several rows on different shards, while it sells',
      params: skuParams,
      body: schemas.hotRequest,
      answers: { 200: schemas.hotAnswer },
      problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
      changes: true,
      requestMs: RESIZE_MS,
      handle: async ({ params: { sku_id }, body: { sub_rows }, deadlineMs }) =>
        resizedReply(await services.resizeSku(sku_id, sub_rows, deadlineMs)),
    }),

    route({
      method: 'delete',
      path: '/v1/skus/:sku_id/hot',
      summary: 'Bring the stock of a SKU back into one row, while it sells',
      params: skuParams,
      answers: { 200: schemas.hotAnswer },
      problems: ['unknown_sku', 'overloaded', 'outcome_unknown'],
      changes: true,
      requestMs: RESIZE_MS,
      handle: async ({ params: { sku_id }, deadlineMs }) =>
        resizedReply(await services.resizeSku(sku_id, 1, deadlineMs)),
    }),
  ];
}

function openedReply(sku_id: string, asked: number, outcome: OpenAnswer): Reply {
  if (outcome.is === 'opened') {
    const { leaved_amount, opened_with, replayed } = outcome;
    return json(replayed ? 200 : 201, { sku_id, leaved_amount, opened_with, replayed }, doneWord(outcome));
  }
  if (outcome.is !== 'exists') return failureReply(outcome);
  const { leaved_amount, opened_with } = outcome;
  const detail = `the SKU was opened with ${opened_with} units, not with ${asked}; nothing was changed`;
  return problem('sku_exists', detail, { leaved_amount, opened_with });
}

function notWrittenOff(units: number, leaved_amount: number): Reply {
  const detail = `${units} units were to be written off, and ${leaved_amount} are left; nothing was changed`;
  return problem('insufficient_stock', detail, { leaved_amount });
}

function resizedReply(outcome: Resized | Refused | NotDone | Unknown): Reply {
  if (outcome.is !== 'resized') return failureReply(outcome);
  const { sku_id, places, epoch } = outcome.layout;
  return json(
    200,
    {
      sku_id,
      mode: places.length > 1 ? 'hot' : 'single',
      epoch,
      sub_rows: places.map((shard, sub_row) => ({ sub_row, shard })),
    },
    doneWord(outcome),
  );
}

/** Books that were not read are not in order, so one shard that is missing is no answer. */
function reconciledReply({ shards, differences }: Reconciled): Reply {
  const unread = shards.filter(({ fault }) => fault !== null);
  if (unread.length > 0)
    return problem('overloaded', `not every shard could be read: ${unread.map(({ shard }) => shard).join(', ')}`);
  const sum = (amount: (report: Reconciled['shards'][number]) => number): number =>
    shards.reduce((total, report) => total + amount(report), 0);
  // Amounts are written digit by digit: as doubles they would be rounded.
  return exactJson(
    {
      sku_count: sum(({ sku_count }) => sku_count),
      flow_count: sum(({ flow_count }) => flow_count),
      shards: shards.map(({ shard, sku_count, flow_count }) => ({ shard, sku_count, flow_count })),
      differences: differences.map(
        ({ kind, shard, sku_id, sub_row, expected, actual, flow_count, order_detail_ids, cart }) => ({
          ...{ kind, shard, sku_id, ...(sub_row === undefined ? {} : { sub_row }), expected, actual, flow_count },
          ...{ flows: order_detail_ids, cart },
        }),
      ),
    },
    differences.length === 0 ? 'done' : 'differences',
  );
}

function doneWord({ replayed }: { readonly replayed: boolean }): string {
  return replayed ? 'replayed' : 'applied';
}

function durabilityWord(durable: boolean): 'mysql' | 'mysql_relaxed' {
  return durable ? 'mysql' : 'mysql_relaxed';
}
