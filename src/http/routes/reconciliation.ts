import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { NoSuchSku, Reconciled } from '../../service/reconcile/reconcile.ts';
import * as schemas from '../adminSchemas.ts';
import { exactJson, problem } from '../errors.ts';
import type { Reply } from '../errors.ts';
import * as examples from '../examples/admin.ts';
import { failureReply } from '../failureReply.ts';
import { apiCall } from '../route.ts';
import type { ApiCall } from '../route.ts';
import { unknownSku } from './unknownSku.ts';

/** Another reconciliation is under way, in this process or in another worker. */
export interface ReconciliationBusy {
  readonly is: 'busy';
}

/** The use case that compares the tables of the shards. */
export interface ReconciliationServices {
  reconcile(
    sku_id: string | null,
    deadlineMs: DeadlineMs,
  ): Promise<Reconciled | NoSuchSku | NotDone | ReconciliationBusy>;
}

/** Adding up all shards takes longer than a sale. */
const RECONCILIATION_MS = 60_000;

/** The call that compares stock rows, journals and carts. */
export function reconciliationRoute(services: ReconciliationServices): ApiCall {
  return apiCall({
    method: 'post',
    path: '/v1/reconciliations',
    operationId: 'reconcileStock',
    summary: 'Compare stock rows, journals and carts, of one SKU or of all',
    description:
      'Without `sku_id` every SKU is checked, which takes up to a minute. One call runs at a time; another one is ' +
      '`overloaded`. An empty list of differences means that the books are right. Nothing is changed.',
    body: schemas.reconciliationRequest,
    examples: examples.reconcileStock,
    answers: { 200: schemas.reconciliationAnswer },
    problems: ['unknown_sku', 'overloaded'],
    requestMs: RECONCILIATION_MS,
    async handle({ body: { sku_id = null }, deadlineMs }) {
      const outcome = await services.reconcile(sku_id, deadlineMs);
      if (outcome.is === 'busy')
        return problem('overloaded', 'another reconciliation is under way; try again when it has ended');
      if (outcome.is === 'not_done') return failureReply(outcome);
      if (outcome.is === 'unknown') return unknownSku(sku_id ?? '');
      return reconciledReply(outcome);
    },
  });
}

/**
 * Books that were not read do not count as correct. So a shard that could not be read makes the whole answer a problem.
 */
function reconciledReply({ shards, differences }: Reconciled): Reply {
  const readFailures = shards.filter(({ fault }) => fault !== null);
  if (readFailures.length > 0)
    return problem('overloaded', `not every shard could be read: ${readFailures.map(({ shard }) => shard).join(', ')}`);
  const sum = (amount: (report: Reconciled['shards'][number]) => number): number =>
    shards.reduce((total, report) => total + amount(report), 0);
  // Amounts are written digit by digit, because doubles would round them.
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
