import { DIFFERENCE_KINDS } from '../../src/core/books/reconciliation.ts';
import { HOTTEST_MAX } from '../../src/core/hot/hotKeyTracker.ts';
import type { Operation } from '../../src/core/operation.ts';
import { UNREADABLE_KINDS } from '../../src/core/unreadableRow.ts';
import { adminRoutes } from '../../src/http/adminRoutes.ts';
import type { AdminServices } from '../../src/http/adminRoutes.ts';
import { PROBLEMS } from '../../src/http/errors.ts';
import { publicRoutes } from '../../src/http/publicRoutes.ts';
import type { PublicServices } from '../../src/http/publicRoutes.ts';
import { docsPageRoutes } from '../../src/http/routes/docsPage.ts';
import { SHARD_STATES } from '../../src/metrics/shardSeries.ts';
import type { TierName } from '../../src/service/precheck/tier.ts';

/** A label of some metrics. */
interface MetricLabel {
  readonly label: string;
  /** The names of the metrics. */
  readonly of: RegExp;
  readonly meaning: string;
  /** All values, or a range of them; null: the values are open. */
  readonly values: readonly string[] | string | null;
}

/** The compiler finds a kind that is missing here, or that there is not. */
const OPERATIONS: Readonly<Record<Operation['kind'], true>> = {
  ...{ deduct: true, hold: true, settle: true, return: true, cancel: true, adjust: true },
  ...{ send: true, receive: true, open: true, sale: true },
};
const TIERS: Readonly<Record<TierName, true>> = { memory: true, redis: true, replica: true };
/** The outcomes of requests that succeed. */
const SUCCESSES = ['deducted', 'returned', 'cancelled', 'applied', 'replayed', 'done'];

/** Every label. The routes are only listed; no handler runs. */
export function metricLabels(): MetricLabel[] {
  const own = (label: string, meaning: string, values: MetricLabel['values'], of = /^stockgate_/): MetricLabel => ({
    ...{ label, of, meaning, values },
  });
  const routes = [...publicRoutes({} as PublicServices), ...adminRoutes({} as AdminServices), ...docsPageRoutes()];
  const calls = routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  const outcomes = [...SUCCESSES, ...Object.keys(PROBLEMS).filter((problem) => !SUCCESSES.includes(problem))];
  return [
    own('route', 'the call: method and path; `none` if no call has the address', [...calls, 'none']),
    own('outcome', 'the effect of a call that succeeded, or the problem code', outcomes),
    own('operation', 'the operation on the shard', Object.keys(OPERATIONS)),
    own('ending', 'without effect, or in doubt', ['not_done', 'unknown']),

    own('rank', 'the place in the ranking of SKUs; 1 is the most requested', `\`1\` to \`${HOTTEST_MAX}\``),
    own('shard', 'the name of the shard in the shards file', null),
    own('state', 'the state of the shard, see [monitoring](operating/monitoring.md#where-to-look-first)', SHARD_STATES),

    own('answered', 'whether the shard answered', ['true', 'false']),
    own('kind', 'the kind of unreadable row', UNREADABLE_KINDS, /^stockgate_unreadable_rows$/),
    own('kind', 'the kind of difference', DIFFERENCE_KINDS, /^stockgate_continuous_reconciliation_/),
    own('kind', 'the kind of garbage collection', null, /_gc_/),
    own('tier', 'the source of the pre-check', Object.keys(TIERS)),

    own('type', 'the type of handle, request or resource in Node.js', null, /^stockgate_nodejs_/),
    own('space', 'the part of the heap in V8', null, /^stockgate_nodejs_heap_/),
    ...['version', 'major', 'minor', 'patch'].map((part) =>
      own(part, `${part === 'version' ? 'the version' : `the ${part} number of the version`} of Node.js`, null),
    ),
  ];
}
