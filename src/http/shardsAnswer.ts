import { Type } from 'typebox';
import { HOTTEST_MAX } from '../core/heat.ts';
import { answerRecord, durability, shard, skuId } from './schemaParts.ts';

export const shardsAnswer = answerRecord({
  shards: Type.Array(
    answerRecord({
      shard,
      name: Type.String(),
      state: Type.Union([
        Type.Literal('untried'),
        Type.Literal('serving'),
        Type.Literal('unreachable'),
        Type.Literal('refused'),
      ]),
      reason: Type.Union([Type.String(), Type.Null()], { description: 'what stands in the way' }),
      slots: Type.Integer({ minimum: 0, description: 'how many of the 1,024 slots it owns' }),
      durability: Type.Union([durability, Type.Null()], { description: 'null while nobody knows' }),
      breaker: Type.Union([Type.Literal('closed'), Type.Literal('open')], {
        description: 'open: it has not been answering, and nobody is made to wait for it',
      }),
      retries: Type.Integer({ minimum: 0, description: 'transactions tried again so far' }),
      server_version: Type.Union([Type.String(), Type.Null()]),
      pool: answerRecord({
        connections_max: Type.Integer(),
        open: Type.Integer(),
        busy: Type.Integer(),
        waiting: Type.Integer(),
        waiting_max: Type.Integer(),
      }),
      replicas: Type.Array(
        answerRecord({
          host: Type.String(),
          port: Type.Integer(),
          state: Type.Union(
            ['following', 'lagging', 'silent', 'refused', 'unclear', 'untried'].map((state) => Type.Literal(state)),
          ),
          reason: Type.Union([Type.String(), Type.Null()], { description: 'why it is not asked' }),
          lag_ms: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
            description: 'how old what it shows was, at most, when it was last looked at',
          }),
        }),
        { description: 'of the shard, where the pre-check asks them' },
      ),
    }),
  ),
  hottest: Type.Array(
    answerRecord({
      rank: Type.Integer({ minimum: 1, description: '1 is the hottest' }),
      sku_id: skuId,
      lines_per_second: Type.Integer({
        minimum: 1,
        description: 'lines of orders over the last seconds, refused and replayed ones too',
      }),
      sub_rows_suggested: Type.Union([Type.Integer({ minimum: 2 }), Type.Null()], {
        description: 'into how many to split its stock; null: one row carries it',
      }),
    }),
    {
      maxItems: HOTTEST_MAX,
      description: 'what this process was asked for most; other workers and gateways have their own',
    },
  ),
});
