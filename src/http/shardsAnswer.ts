import { Type } from 'typebox';
import { HOTTEST_MAX } from '../core/hot/hotKeyTracker.ts';
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
      reason: Type.Union([Type.String(), Type.Null()], { description: 'the reason why the shard is not served' }),
      slots: Type.Integer({ minimum: 0, description: 'the number of the 1,024 slots that the shard owns' }),
      durability: Type.Union([durability, Type.Null()], { description: 'null: not known yet' }),
      breaker: Type.Union([Type.Literal('closed'), Type.Literal('open')], {
        description: 'open: the shard has not been answering, so requests to it fail at once',
      }),
      retries: Type.Integer({ minimum: 0, description: 'retries of transactions so far' }),
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
          reason: Type.Union([Type.String(), Type.Null()], { description: 'the reason why the replica is not read' }),
          lag_ms: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
            description: 'the age of its data at the last read, at most',
          }),
        }),
        { description: 'the replicas of the shard that the pre-check reads' },
      ),
    }),
  ),
  hottest: Type.Array(
    answerRecord({
      rank: Type.Integer({ minimum: 1, description: '1 is the hottest' }),
      sku_id: skuId,
      lines_per_second: Type.Integer({
        minimum: 1,
        description: 'order lines over the last seconds, including refused and replayed ones',
      }),
      sub_rows_suggested: Type.Union([Type.Integer({ minimum: 2 }), Type.Null()], {
        description: 'the suggested number of rows for its stock; null: one row carries the rate',
      }),
    }),
    {
      maxItems: HOTTEST_MAX,
      description: 'the SKUs with the most order lines in this process; other workers and gateways have their own list',
    },
  ),
});
