import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { projectPath } from '../../src/projectPath.ts';
import { code, codes, table } from './markdown.ts';
import { metricLabels } from './metricLabels.ts';

/** A metric as the registry describes it. */
export interface DocumentedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly labelNames: readonly string[];
}

const INTRODUCTION = `# Metrics

This page lists every metric of \`GET /metrics\` on the admin listener. \`npm run docs\` generates it from the registry
of \`src/metrics/metrics.ts\`. [Monitoring](operating/monitoring.md) has the alerts and the action for each.

- **Labels** are described [below](#labels). No label names a SKU or an order, because their number has no bound.
- **Workers** is how the values of several worker processes become one: their sum, the largest or smallest of them
  (\`max\`, \`min\`), or the value of one worker (\`first\`). \`omit\`: with several workers the metric is left out.
- A histogram has a series for each bucket, and one each for its sum and its count:
  \`stockgate_request_seconds_bucket\`, \`stockgate_request_seconds_sum\` and \`stockgate_request_seconds_count\`.
- Counters begin at 0 when the process starts.`;

const LABELS = `## Labels

"Open" means that the values are not fixed.`;

/** The first pattern that fits a name decides its group. */
const GROUPS: readonly { readonly title: string; readonly names: RegExp }[] = [
  { title: 'Requests', names: /^stockgate_(request|operations_|hottest_)/ },
  { title: 'Shards and connections', names: /^stockgate_(shard_|breaker_|retries|pool_)/ },
  { title: 'Carts and holds', names: /^stockgate_(cart|hold|sweeps_)/ },
  { title: 'Rows', names: /^stockgate_(reconciliation_|continuous_reconciliation_|unreadable_)/ },
  { title: 'Pre-check', names: /^stockgate_precheck_/ },
  { title: 'Process', names: /^/ },
];

/** Makes \`docs/metrics.md\`. */
export function metricsPage(): string {
  const metrics = documentedMetrics();
  const alerts = alertsOf(readFileSync(projectPath('deploy/prometheus/rules.yml'), 'utf8'));
  const groups = GROUPS.map(({ title }, index) => {
    const members = metrics.filter(({ name }) => GROUPS.findIndex(({ names }) => names.test(name)) === index);
    return `## ${title}\n\n${metricsTable(members, alerts)}`;
  });
  return `${[INTRODUCTION, ...groups, LABELS, labelsTable(metrics)].join('\n\n')}\n`;
}

/** Every metric of a gateway with all its parts. No value is read. */
export function documentedMetrics(): DocumentedMetric[] {
  const registry = new Registry();
  const metrics = createMetrics(
    () => [],
    () => [],
    registry,
  );
  metrics.unreadable(() => []);
  metrics.continuousReconciliation();
  metrics.tiers(() => ({ skus: 0, ids: 0 }));
  // The library's types leave out the names of the labels.
  return registry.getMetricsAsArray() as unknown as DocumentedMetric[];
}

interface Alert {
  readonly name: string;
  readonly expression: string;
}

/** Reads the names and the expressions of the alerts from a file of rules. */
export function alertsOf(rules: string): Alert[] {
  const found = rules.matchAll(/^ *- alert: (\w+)$(?:\n *#.*$)*\n *expr: (.*)$/gm);
  return [...found].map(([, name = '', expression = '']) => ({ name, expression }));
}

function metricsTable(metrics: readonly DocumentedMetric[], alerts: readonly Alert[]): string {
  const rows = metrics.map((metric) => {
    const used = alerts.filter(({ expression }) => namesMetric(expression, metric.name));
    return [
      code(metric.name),
      metric.type,
      codes(metric.labelNames),
      unitOf(metric),
      metric.aggregator === 'sum' ? 'sum' : code(metric.aggregator),
      metric.help.replace(/\.$/, ''),
      used.map(({ name }) => `[${code(name)}](operating/monitoring.md#${name.toLowerCase()})`).join(', '),
    ];
  });
  return table(['metric', 'type', 'labels', 'unit', 'workers', 'meaning', 'alert'], rows);
}

function namesMetric(expression: string, name: string): boolean {
  return new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(expression);
}

function unitOf({ name, help }: DocumentedMetric): string {
  if (name.endsWith('_timestamp_seconds') || name.endsWith('_start_time_seconds')) return 'Unix time in seconds';
  if (/_seconds(_total)?$/.test(name)) return 'seconds';
  if (name.endsWith('_bytes')) return 'bytes';
  if (name.endsWith('_per_second')) return 'per second';
  if (name.endsWith('_version_info')) return 'always 1';
  return help.startsWith('1 ') ? '1 or 0' : 'number';
}

function labelsTable(metrics: readonly DocumentedMetric[]): string {
  const used = new Set(metrics.flatMap(({ name, labelNames }) => labelNames.map((label) => `${label} of ${name}`)));
  const rows = metricLabels().map(({ label, of, meaning, values }) => {
    for (const use of used)
      if (use.startsWith(`${label} of `) && of.test(use.slice(label.length + 4))) used.delete(use);
    return [code(label), meaning, typeof values === 'string' ? values : values === null ? 'open' : codes(values)];
  });
  if (used.size > 0) throw new Error(`scripts/docs/metricLabels.ts describes no ${[...used].join(', no ')}`);
  return table(['label', 'meaning', 'values'], rows);
}
