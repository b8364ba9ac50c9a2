import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Aggregator } from 'prom-client';
import { HOTTEST_MAX } from '../core/heat.ts';
import type { HotSku } from '../core/heat.ts';
import type { LeftOver, ShardState } from '../core/ports.ts';
import { UNREADABLE_KINDS } from '../core/unreadable.ts';
import type { UnreadableKind } from '../core/unreadable.ts';
import type { MetricsPage, MetricsSnapshot } from './addUp.ts';
import { tierSeries } from './tierSeries.ts';
import type { TierSeries } from './tierSeries.ts';

export interface Metrics {
  /** Counts one answered request. */
  answered(request: { route: string; outcome: string; seconds: number }): void;
  /** Counts one operation on a shard that ended without a verdict. */
  withoutVerdict(operation: string, ending: 'not_done' | 'unknown'): void;
  /** Notes what carts have left over on a shard; null when it could not be asked. */
  swept(shard: string, leftOver: LeftOver | null): void;
  /** Notes how many differences a reconciliation of all SKUs has found. */
  reconciled(differences: number): void;
  /** Makes the series of rows that cannot be read. @param counts asked at each scrape */
  unreadable(
    counts: () => readonly { readonly kind: UnreadableKind; readonly shard: string; readonly count: number }[],
  ): void;
  /** Makes the series of tiers. @param known SKUs and ids that are known to be sold out, asked at each scrape */
  tiers(known: () => { readonly skus: number; readonly ids: number }): TierSeries;
  /** Everything in the text form of Prometheus. */
  scrape(): Promise<MetricsPage>;
  /** The same for another process, which adds it up. */
  snapshot(): Promise<MetricsSnapshot>;
}

const SHARD_STATES = ['untried', 'serving', 'unreachable', 'refused'] as const;

/**
 * Our series, on a registry of our own. No label names a SKU or an order: their number has no bound.
 *
 * `aggregator` says what becomes of a series when several processes share a page. Of what each has for itself it is the
 * sum, which is the library's own choice; of what all see alike it is the largest, for one may know more than the others.
 *
 * @param shards asked at each scrape
 * @param hottest the same, the hottest first
 */
export function createMetrics(shards: () => readonly ShardState[], hottest: () => readonly HotSku[]): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'stockgate_' });
  // A mean would hide the one process that is stuck.
  for (const metric of registry.getMetricsAsArray()) if (metric.aggregator === 'average') metric.aggregator = 'max';
  new Gauge({ name: 'stockgate_workers', help: 'Processes that answered for this page', registers }).set(1);

  const requests = new Counter({
    name: 'stockgate_requests_total',
    help: 'Requests answered, by call and outcome (a problem code, or what was done)',
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
  const withoutVerdict = new Counter({
    name: 'stockgate_operations_without_verdict_total',
    help: 'Operations that a shard did not carry out (not_done) or did not answer (unknown)',
    labelNames: ['operation', 'ending'] as const,
    registers,
  });

  const perShard = (
    name: string,
    help: string,
    value: (state: ShardState) => number,
    aggregator: Aggregator = 'sum',
  ): void => {
    new Gauge({
      name,
      help,
      aggregator,
      labelNames: ['shard'] as const,
      registers,
      collect() {
        for (const state of shards()) this.set({ shard: state.name }, value(state));
      },
    });
  };
  perShard(
    'stockgate_breaker_open',
    '1 while the shard has not been answering',
    ({ breaker }) => Number(breaker === 'open'),
    'max',
  );
  perShard('stockgate_retries', 'Transactions tried again since the start', ({ retries }) => retries);
  perShard('stockgate_pool_connections', 'Open connections of the pool', ({ pool }) => pool.open);
  perShard('stockgate_pool_connections_max', 'Connections the pool may open', ({ pool }) => pool.connections_max);
  perShard('stockgate_pool_busy', 'Connections in use', ({ pool }) => pool.busy);
  perShard('stockgate_pool_waiting', 'Requests that wait for a connection', ({ pool }) => pool.waiting);
  perShard('stockgate_pool_waiting_max', 'Requests that may wait for a connection', ({ pool }) => pool.waiting_max);
  new Gauge({
    name: 'stockgate_shard_state',
    help: '1 for the state the shard is in, 0 for the others',
    // Where processes do not agree, each one's state is 1.
    aggregator: 'max',
    labelNames: ['shard', 'state'] as const,
    registers,
    collect() {
      for (const { name, state } of shards()) {
        for (const candidate of SHARD_STATES) this.set({ shard: name, state: candidate }, state === candidate ? 1 : 0);
      }
    },
  });

  new Gauge({
    name: 'stockgate_hottest_sku_lines_per_second',
    help: "Lines a second of the SKUs that are asked for most, by rank; of several workers the sum over each one's own ranking",
    labelNames: ['rank'] as const,
    registers,
    collect() {
      const skus = hottest();
      for (let rank = 1; rank <= HOTTEST_MAX; rank += 1) this.set({ rank }, skus[rank - 1]?.lines_per_second ?? 0);
    },
  });

  const ofCarts = (name: string, help: string): Gauge<'shard'> =>
    new Gauge({ name, help, aggregator: 'max', labelNames: ['shard'] as const, registers });
  const cartsOpen = ofCarts('stockgate_carts_undecided', 'Carts without a verdict whose record is on the shard');
  const cartAge = ofCarts('stockgate_cart_undecided_oldest_seconds', 'Age of the oldest of them');
  const holdsOpen = ofCarts('stockgate_holds', 'Flows that are held for carts on the shard');
  const holdAge = ofCarts('stockgate_hold_oldest_seconds', 'Age of the oldest of them');
  const sweeps = new Counter({
    name: 'stockgate_sweeps_total',
    help: 'Looks for what carts have left over, by whether the shard answered',
    labelNames: ['shard', 'answered'] as const,
    registers,
  });
  // So that a shard of which nobody ever heard is seen to make no progress.
  for (const { name } of shards()) for (const answered of ['true', 'false']) sweeps.inc({ shard: name, answered }, 0);

  const ofBooks = (name: string, help: string): Gauge => new Gauge({ name, help, aggregator: 'max', registers });
  const differences = ofBooks(
    'stockgate_reconciliation_differences',
    'Differences that the last reconciliation of all SKUs found which this gateway was asked for',
  );
  const reconciledAt = ofBooks('stockgate_reconciliation_timestamp_seconds', 'When that was; 0: not since the start');

  return {
    reconciled(found) {
      differences.set(found);
      reconciledAt.setToCurrentTime();
    },
    swept(shard, leftOver) {
      sweeps.inc({ shard, answered: String(leftOver !== null) });
      if (leftOver === null) return;
      cartsOpen.set({ shard }, leftOver.cartsOpen);
      cartAge.set({ shard }, leftOver.cartAgeMs / 1_000);
      holdsOpen.set({ shard }, leftOver.holdsOpen);
      holdAge.set({ shard }, leftOver.holdAgeMs / 1_000);
    },
    answered({ route, outcome, seconds }) {
      requests.inc({ route, outcome });
      latency.observe({ route }, seconds);
    },
    withoutVerdict(operation, ending) {
      withoutVerdict.inc({ operation, ending });
    },
    unreadable(counts) {
      new Gauge({
        name: 'stockgate_unreadable_rows',
        help: 'Rows that cannot be read and were left alone, found in the last five minutes; the log names each of them',
        // Workers find the same rows.
        aggregator: 'max',
        labelNames: ['kind', 'shard'] as const,
        registers,
        collect() {
          for (const { name: shard } of shards()) for (const kind of UNREADABLE_KINDS) this.set({ kind, shard }, 0);
          for (const { kind, shard, count } of counts()) this.set({ kind, shard }, count);
        },
      });
    },
    tiers: (known) => tierSeries(registers, known),
    snapshot: () => registry.getMetricsAsJSON(),
    scrape: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
