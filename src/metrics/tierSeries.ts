import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** Told of what tiers do; the same as `TierWatcher` of the services. */
export interface TierSeries {
  asked(tier: string): void;
  refused(tier: string, ageMs: number): void;
  skipped(tier: string): void;
  passedFalsely(tier: string): void;
}

/** The series of early refusals. @param known asked at each scrape */
export function tierSeries(
  registers: Registry[],
  known: () => { readonly skus: number; readonly ids: number },
): TierSeries {
  const counter = (name: string, help: string): Counter<'tier'> =>
    new Counter({ name, help, labelNames: ['tier'] as const, registers });
  const asked = counter('stockgate_precheck_asked_total', 'Orders and SKUs that a tier was asked about');
  const refused = counter('stockgate_precheck_refused_total', 'Orders that a tier refused');
  const skipped = counter(
    'stockgate_precheck_skipped_total',
    'Times that a tier was too slow or down, or left alone after that',
  );
  const passed = counter(
    'stockgate_precheck_false_passes_total',
    'Orders that a tier let pass and the engine refused as sold out',
  );
  const age = new Histogram({
    name: 'stockgate_precheck_age_seconds',
    help: 'How old the knowledge was that refused',
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
  gauge('stockgate_precheck_skus', 'SKUs that are known to be sold out', () => known().skus);
  gauge('stockgate_precheck_ids', 'Ids that are known of them', () => known().ids);
  // Labels are looked up once: these are counted for every order that is refused.
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
    asked: (tier) => askedBy(tier).inc(),
    refused(tier, ageMs) {
      refusedBy(tier).inc();
      ageOf(tier).observe(ageMs / 1_000);
    },
    skipped: (tier) => skipped.inc({ tier }),
    passedFalsely: (tier) => passed.inc({ tier }),
  };
}
