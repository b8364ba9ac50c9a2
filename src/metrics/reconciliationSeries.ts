import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { DIFFERENCE_KINDS } from '../core/books/reconciliation.ts';
import type { DifferenceKind } from '../core/books/reconciliation.ts';
import type { ShardState } from '../core/ports/shardOverview.ts';

/** Records the number of differences that a reconciliation of all SKUs has found. */
export type CountReconciled = (differences: number) => void;

/** The series of the continuous reconciliation. */
export interface ContinuousReconciliationSeries {
  /** Counts one step. */
  step(shard: string, step: { readonly skus: number; readonly seconds: number }): void;
  /** Records the end of a complete round, in milliseconds since 1970. */
  round(shard: string, endedMs: number): void;
  /** Records the differences of a shard; null: another process reconciles it. */
  counts(shard: string, counts: ReadonlyMap<DifferenceKind, number> | null): void;
  /** Counts a step in which something could not be read. */
  unread(shard: string): void;
}

/** Makes the series of the reconciliations on demand. */
export function reconciliationSeries(registers: Registry[]): CountReconciled {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, aggregator: 'max', registers });
  const differences = gauge(
    'stockgate_reconciliation_differences',
    'Differences that the last reconciliation of all SKUs through this gateway found',
  );
  const reconciledAt = gauge(
    'stockgate_reconciliation_timestamp_seconds',
    'Time of the last reconciliation of all SKUs through this gateway; 0: none since the start',
  );
  return (found) => {
    differences.set(found);
    reconciledAt.setToCurrentTime();
  };
}

/**
 * Makes the series of the continuous reconciliation. Of all processes one reconciles a shard, and the values of the
 * others are 0.
 */
export function continuousReconciliationSeries(
  registers: Registry[],
  shards: () => readonly ShardState[],
): ContinuousReconciliationSeries {
  const labelNames = ['shard'] as const;
  const differences = new Gauge({
    name: 'stockgate_continuous_reconciliation_differences',
    help: 'Differences that the continuous reconciliation has found and that are still there, by shard and kind',
    labelNames: ['shard', 'kind'] as const,
    registers,
  });
  const roundAt = new Gauge({
    name: 'stockgate_continuous_reconciliation_round_timestamp_seconds',
    help: 'When each SKU of a shard had been compared once more; 0: not yet, or by another process',
    labelNames,
    aggregator: 'max',
    registers,
  });
  const skus = new Counter({
    name: 'stockgate_continuous_reconciliation_skus_total',
    help: 'SKUs that the continuous reconciliation has compared',
    labelNames,
    registers,
  });
  const seconds = new Counter({
    name: 'stockgate_continuous_reconciliation_seconds_total',
    help: 'Time that the continuous reconciliation has spent on reading a shard',
    labelNames,
    registers,
  });
  const unread = new Counter({
    name: 'stockgate_continuous_reconciliation_unread_total',
    help: 'Steps of the continuous reconciliation in which a shard, or a row on it, could not be read',
    labelNames,
    registers,
  });
  for (const { name: shard } of shards()) {
    for (const kind of DIFFERENCE_KINDS) differences.set({ shard, kind }, 0);
    roundAt.set({ shard }, 0);
    for (const counter of [skus, seconds, unread]) counter.inc({ shard }, 0);
  }
  return {
    step(shard, step) {
      skus.inc({ shard }, step.skus);
      seconds.inc({ shard }, step.seconds);
    },
    round: (shard, endedMs) => roundAt.set({ shard }, endedMs / 1_000),
    counts(shard, counts) {
      for (const kind of DIFFERENCE_KINDS) differences.set({ shard, kind }, counts?.get(kind) ?? 0);
    },
    unread: (shard) => unread.inc({ shard }),
  };
}
