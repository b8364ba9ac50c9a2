import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { HOTTEST_MAX } from '../core/hot/hotKeyTracker.ts';
import type { HotSku } from '../core/hot/hotKeyTracker.ts';
import type { UnfinishedCarts } from '../core/ports/cartRecords.ts';
import type { ShardState } from '../core/ports/shardOverview.ts';
import { UNREADABLE_KINDS } from '../core/unreadableRow.ts';
import type { UnreadableKind } from '../core/unreadableRow.ts';
import type { MetricsPage, MetricsSnapshot } from './addUp.ts';
import { cartSeries } from './cartSeries.ts';
import { continuousReconciliationSeries, reconciliationSeries } from './reconciliationSeries.ts';
import type { ContinuousReconciliationSeries } from './reconciliationSeries.ts';
import { shardSeries } from './shardSeries.ts';
import { tierSeries } from './tierSeries.ts';
import type { TierSeries } from './tierSeries.ts';

/** The unreadable rows of one kind on one shard. */
interface UnreadableCount {
  readonly kind: UnreadableKind;
  readonly shard: string;
  readonly count: number;
}

export interface Metrics {
  /** Counts one answered request. */
  answered(request: { route: string; outcome: string; seconds: number }): void;
  /** Counts one operation on a shard that was not done or is in doubt. */
  withoutOutcome(operation: string, ending: 'not_done' | 'unknown'): void;
  /** Records the unfinished carts that a sweep found on a shard; null when the shard did not answer. */
  swept(shard: string, leftOver: UnfinishedCarts | null): void;
  /** Records the number of differences that a reconciliation of all SKUs has found. */
  reconciled(differences: number): void;
  /** Makes the series of the continuous reconciliation. */
  continuousReconciliation(): ContinuousReconciliationSeries;
  /** Makes the series of rows that cannot be read. @param counts read at each scrape */
  unreadable(counts: () => readonly UnreadableCount[]): void;
  /**
   * Makes the series of tiers.
   *
   * @param known the number of sold-out SKUs and of their ids in memory, read at each scrape
   */
  tiers(known: () => { readonly skus: number; readonly ids: number }): TierSeries;
  /** All series in the text form of Prometheus. */
  scrape(): Promise<MetricsPage>;
  /** All series in a form that another process can add up. */
  snapshot(): Promise<MetricsSnapshot>;
}

/**
 * Makes the series of this gateway, on a registry of its own. No label names a SKU or an order, because their number
 * has no bound.
 *
 * `aggregator` says how a series is combined when several processes share a page. A series that each process has for
 * itself is summed, which is the library's default. Of a series that describes the same shards in all processes, the
 * largest value is taken, because one process may have newer data than the others.
 *
 * @param shards read at each scrape
 * @param hottest read at each scrape; the SKU with the highest rate comes first
 * @param registry receives the series
 */
export function createMetrics(
  shards: () => readonly ShardState[],
  hottest: () => readonly HotSku[],
  registry = new Registry(),
): Metrics {
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'stockgate_' });
  // A mean would hide a single process that is stuck.
  for (const metric of registry.getMetricsAsArray()) if (metric.aggregator === 'average') metric.aggregator = 'max';
  new Gauge({ name: 'stockgate_workers', help: 'Processes whose values are on the page', registers }).set(1);
  const requests = requestSeries(registers);
  shardSeries(registers, shards);
  hottestSeries(registers, hottest);
  const swept = cartSeries(registers, shards);
  const reconciled = reconciliationSeries(registers);
  return {
    ...requests,
    swept,
    reconciled,
    continuousReconciliation: () => continuousReconciliationSeries(registers, shards),
    unreadable: (counts) => unreadableSeries(registers, shards, counts),
    tiers: (known) => tierSeries(registers, known),
    snapshot: () => registry.getMetricsAsJSON(),
    scrape: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function requestSeries(registers: Registry[]): Pick<Metrics, 'answered' | 'withoutOutcome'> {
  const requests = new Counter({
    name: 'stockgate_requests_total',
    help: 'Answered requests, by call and outcome',
    labelNames: ['route', 'outcome'] as const,
    registers,
  });
  const latency = new Histogram({
    name: 'stockgate_request_seconds',
    help: 'Time from the head of a request to its answer',
    labelNames: ['route'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3],
    registers,
  });
  const withoutOutcome = new Counter({
    name: 'stockgate_operations_without_verdict_total',
    help: 'Operations on a shard that were not done (not_done), or that are in doubt (unknown)',
    labelNames: ['operation', 'ending'] as const,
    registers,
  });
  return {
    answered({ route, outcome, seconds }) {
      requests.inc({ route, outcome });
      latency.observe({ route }, seconds);
    },
    withoutOutcome(operation, ending) {
      withoutOutcome.inc({ operation, ending });
    },
  };
}

function hottestSeries(registers: Registry[], hottest: () => readonly HotSku[]): void {
  new Gauge({
    name: 'stockgate_hottest_sku_lines_per_second',
    help: 'Order lines per second of the most requested SKUs, by rank; with several workers the sum at each rank',
    labelNames: ['rank'] as const,
    registers,
    collect() {
      const skus = hottest();
      for (let rank = 1; rank <= HOTTEST_MAX; rank += 1) this.set({ rank }, skus[rank - 1]?.lines_per_second ?? 0);
    },
  });
}

function unreadableSeries(
  registers: Registry[],
  shards: () => readonly ShardState[],
  counts: () => readonly UnreadableCount[],
): void {
  new Gauge({
    name: 'stockgate_unreadable_rows',
    help: 'Rows that cannot be decoded and were skipped, found in the last five minutes; the log names each row',
    // All workers find the same rows.
    aggregator: 'max',
    labelNames: ['kind', 'shard'] as const,
    registers,
    collect() {
      for (const { name: shard } of shards()) for (const kind of UNREADABLE_KINDS) this.set({ kind, shard }, 0);
      for (const { kind, shard, count } of counts()) this.set({ kind, shard }, count);
    },
  });
}
