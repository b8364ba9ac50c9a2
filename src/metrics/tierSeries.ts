import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** Counts what tiers do; the same interface as `TierWatcher` of the services. */
export interface TierSeries {
  requested(tier: string): void;
  refused(tier: string, ageMs: number): void;
  skipped(tier: string): void;
  falsePass(tier: string): void;
}

/** The series of early refusals. @param known read at each scrape */
export function tierSeries(
  registers: Registry[],
  known: () => { readonly skus: number; readonly ids: number },
): TierSeries {
  const counter = (name: string, help: string): Counter<'tier'> =>
    new Counter({ name, help, labelNames: ['tier'] as const, registers });
  const asked = counter('stockgate_precheck_asked_total', 'Look-ups of orders and SKUs in a tier');
  const refused = counter('stockgate_precheck_refused_total', 'Orders that a tier refused as sold out');
  const skipped = counter(
    'stockgate_precheck_skipped_total',
    'Look-ups that a tier did not answer: it was down or too slow, or paused after that',
  );
  const passed = counter(
    'stockgate_precheck_false_passes_total',
    'Orders that a tier admitted and the engine refused as sold out',
  );
  const age = new Histogram({
    name: 'stockgate_precheck_age_seconds',
    help: 'Age of the cached stock reading behind a refusal',
    labelNames: ['tier'] as const,
    buckets: [0.05, 0.1, 0.2, 0.4, 0.7, 1],
    registers,
  });
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('stockgate_precheck_skus', 'Sold-out SKUs in the memory of the pre-check', () => known().skus);
  gauge('stockgate_precheck_ids', 'Ids of order lines of these SKUs in the memory of the pre-check', () => known().ids);
  // The labels are resolved once, because these series are counted for every refused order.
  const childrenOf = <T>(labelled: (tier: string) => T): ((tier: string) => T) => {
    const children = new Map<string, T>();
    return (tier) => {
      const child = children.get(tier) ?? labelled(tier);
      children.set(tier, child);
      return child;
    };
  };
  const askedBy = childrenOf((tier) => asked.labels({ tier }));
  const refusedBy = childrenOf((tier) => refused.labels({ tier }));
  const ageOf = childrenOf((tier) => age.labels({ tier }));
  return {
    requested: (tier) => askedBy(tier).inc(),
    refused(tier, ageMs) {
      refusedBy(tier).inc();
      ageOf(tier).observe(ageMs / 1_000);
    },
    skipped: (tier) => skipped.inc({ tier }),
    falsePass: (tier) => passed.inc({ tier }),
  };
}
