import { AggregatorRegistry } from 'prom-client';
import type { Registry } from 'prom-client';

/** What Prometheus reads. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** The series of one process at one moment, as they can be sent to another process. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** Makes one page of several processes' series, each added up as its `aggregator` says. */
export async function pageOf(snapshots: readonly MetricsSnapshot[]): Promise<MetricsPage> {
  const registry = added(snapshots);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** Adds up several snapshots to one. */
export function addUp(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  return added(snapshots).getMetricsAsJSON();
}

/** What stays true of a process that has ended or does not answer: what it counted and found, but not how it stood. */
export function whatStays(snapshot: MetricsSnapshot): MetricsSnapshot {
  // The types know an enumeration of numbers; the library writes words.
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

/** Begins the names of what only the latest reconciliation knows: whoever made one before knew of what is mended since. */
const RECONCILIATION = 'stockgate_reconciliation_';

function latestReconciled(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot | undefined {
  const secondsOf = (snapshot: MetricsSnapshot): number =>
    Number(snapshot.find(({ name }) => name === `${RECONCILIATION}timestamp_seconds`)?.values[0]?.value ?? -1);
  return [...snapshots].sort((a, b) => secondsOf(b) - secondsOf(a))[0];
}
