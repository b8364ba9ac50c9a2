import { AggregatorRegistry } from 'prom-client';
import type { Registry } from 'prom-client';

/** A page for Prometheus. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** The series of one process at one moment, as they can be sent to another process. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** Makes one page from the series of several processes. Each series is combined by its `aggregator`. */
export async function pageOf(snapshots: readonly MetricsSnapshot[]): Promise<MetricsPage> {
  const registry = added(snapshots);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** Adds up several snapshots to one. */
export function addUp(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  return added(snapshots).getMetricsAsJSON();
}

/**
 * The series that stay valid when a process has ended or does not answer: its counts and findings, but not its gauges.
 */
export function lastingSeries(snapshot: MetricsSnapshot): MetricsSnapshot {
  // The library's types declare an enumeration of numbers, but it writes words.
  return snapshot.filter(
    ({ type, name }) => ['counter', 'histogram'].includes(String(type)) || name.startsWith(RECONCILIATION),
  );
}

function added(snapshots: readonly MetricsSnapshot[]): Registry {
  const latest = latestReconciled(snapshots);
  const summed = snapshots.map((snapshot) =>
    snapshot === latest ? snapshot : snapshot.filter(({ name }) => !name.startsWith(RECONCILIATION)),
  );
  return AggregatorRegistry.aggregate<'text/plain; version=0.0.4; charset=utf-8'>(summed);
}

/**
 * The prefix of series of which only those of the latest reconciliation count. Differences of an earlier one may be
 * repaired since.
 */
const RECONCILIATION = 'stockgate_reconciliation_';

function latestReconciled(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot | undefined {
  const secondsOf = (snapshot: MetricsSnapshot): number =>
    Number(snapshot.find(({ name }) => name === `${RECONCILIATION}timestamp_seconds`)?.values[0]?.value ?? -1);
  return [...snapshots].sort((a, b) => secondsOf(b) - secondsOf(a))[0];
}
