import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { EXPLANATIONS } from '../core/books/explanations.ts';
import type { StockDifference } from '../core/books/reconciliation.ts';
import type { ShardIndex } from '../core/types.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { ShardAuditor } from '../mysql/books/auditor.ts';
import { ReconciliationWalkStore } from '../mysql/books/reconciliationWalkStore.ts';
import type { Shard } from '../mysql/shard.ts';
import { ContinuousReconciler } from '../service/reconcile/continuousReconciler.ts';
import type { Routing } from '../service/routing/routing.ts';

/** The longest wait for the sums of some SKUs, which keep a connection of the traffic. One SKU may have many flows. */
const SUM_MS = 5_000;
/** The least time between two reads of the open differences of a shard. */
const RECHECK_MS = 10_000;

export interface ContinuousReconciliationOptions {
  readonly config: Pick<Config, 'shards' | 'reconciliationRoundMs'>;
  readonly log: Logger;
  readonly shards: readonly Shard[];
  readonly routing: Routing;
  readonly metrics: Metrics;
  readonly onFault: (error: unknown) => void;
}

/** Makes the continuous reconciliation of a gateway. @returns null: it is off */
export function createContinuousReconciliation({
  config,
  log,
  shards,
  routing,
  metrics,
  onFault,
}: ContinuousReconciliationOptions): ContinuousReconciler | null {
  if (config.reconciliationRoundMs === 0) return null;
  const series = metrics.continuousReconciliation();
  const nameOf = (shard: ShardIndex): string => config.shards[shard]?.name ?? '';
  const described = ({ shard, expected, actual, ...difference }: StockDifference) => ({
    ...difference,
    ...{ shard: nameOf(shard), expected: String(expected), actual: String(actual) },
    explanation: EXPLANATIONS[difference.kind],
  });
  return new ContinuousReconciler(
    { routing, auditor: new ShardAuditor(shards, SUM_MS), walks: new ReconciliationWalkStore(shards) },
    {
      shardCount: shards.length,
      token: randomBytes(16).toString('hex'),
      recheckMs: RECHECK_MS,
      roundMs: config.reconciliationRoundMs,
      onStep: (shard, step) => series.step(nameOf(shard), step),
      onRound: (shard, endedMs) => series.round(nameOf(shard), endedMs),
      onFound: (difference) => log.error(described(difference), 'stock differs from its journal'),
      onGone: (difference) => log.info(described(difference), 'stock no longer differs from its journal'),
      onCounts: (shard, counts) => series.counts(nameOf(shard), counts),
      onUnread(shard, reason, sku_ids) {
        series.unread(nameOf(shard));
        log.warn({ shard: nameOf(shard), reason, sku_ids: sku_ids.slice(0, 1) }, 'not all SKUs could be compared');
      },
      onFault,
    },
  );
}
