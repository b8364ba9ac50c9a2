import { Type } from 'typebox';
import type { ShardIndex } from '../../core/types.ts';
import type { ReplicaState, ShardState } from '../../core/ports/shardOverview.ts';
import type { RankedSku } from '../../service/hot/hottestSkus.ts';
import * as schemas from '../adminSchemas.ts';
import { json, problem } from '../errors.ts';
import * as examples from '../examples/admin.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import { shardsAnswer } from '../shardsAnswer.ts';

/** The state of the gateway and its shards. */
export interface StatusServices {
  shards(): readonly ShardState[];
  /** The replicas of one shard that the pre-check reads. */
  replicasOf(shard: ShardIndex): readonly ReplicaState[];
  hottest(): readonly RankedSku[];
  slotCounts(): ReadonlyMap<ShardIndex, number>;
  readiness(): { readonly ready: boolean; readonly durable: boolean };
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  description(): string;
}

/** The calls that show the shards and the metrics. */
export function monitoringRoutes(services: StatusServices): ApiCall[] {
  return [
    apiCall({
      method: 'get',
      path: '/v1/shards',
      operationId: 'listShards',
      summary: 'List the shards with their state, and the SKUs with the most order lines',
      description: 'As the answering process sees them. Other workers and gateways have their own view.',
      examples: examples.listShards,
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

    apiCall({
      method: 'get',
      path: '/metrics',
      operationId: 'getMetrics',
      summary: 'Read the metrics, in the format of Prometheus',
      description: 'One page for all workers of the gateway.',
      examples: examples.getMetrics,
      answers: { 200: 'text' },
      problems: [],
      async handle() {
        const { contentType, text } = await services.metrics();
        return { status: 200, contentType, body: text, headers: {}, outcome: 'done' };
      },
    }),
  ];
}

/** The calls of load balancers, and the API description. */
export function healthRoutes(services: StatusServices): ApiCall[] {
  return [
    apiCall({
      method: 'get',
      path: '/healthz',
      operationId: 'getHealth',
      summary: 'Report that the process is alive',
      description: 'Needs no token.',
      examples: examples.getHealth,
      answers: { 200: schemas.healthAnswer },
      problems: [],
      open: true,
      handle: () => json(200, { status: 'alive' }),
    }),

    apiCall({
      method: 'get',
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Report whether the gateway can take traffic',
      description: 'Needs no token. At least one shard can be written.',
      examples: examples.getReadiness,
      answers: { 200: schemas.readyAnswer },
      problems: ['not_ready'],
      open: true,
      handle() {
        const { ready, durable } = services.readiness();
        if (!ready) return problem('not_ready', 'the gateway is starting or draining, or no shard can be served');
        return json(200, { status: 'ready', durability: durabilityWord(durable) });
      },
    }),

    apiCall({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'Read this description, as OpenAPI 3.1',
      description: 'A page that shows it is at `/docs`.',
      examples: examples.getOpenApi,
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
  ];
}

function durabilityWord(durable: boolean): 'mysql' | 'mysql_relaxed' {
  return durable ? 'mysql' : 'mysql_relaxed';
}
