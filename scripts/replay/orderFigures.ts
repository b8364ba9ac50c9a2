import { ascending, percentile } from '../support/latencies.ts';

/** An order with its final answer: sold, sold earlier (a replay), or refused. */
export interface AnsweredOrder {
  readonly lineCount: number;
  /** From sending the first attempt to the final answer, as `FinalAnswer.latencyMs`. */
  readonly latencyMs: number;
}

/** One row of a table: its title, and its value for the orders of a run that took so many seconds. */
type Figure = readonly [title: string, value: (orders: readonly AnsweredOrder[], seconds: number) => string];

const LATENCY = 'latency p50 / p99 / max (count)';

/** Rates and latencies of orders. Orders of one line have rows of their own: the gateway has another path for them. */
export const ORDER_FIGURES: readonly Figure[] = [
  ['orders per second', (orders, seconds) => rateOf(orders.length, seconds)],
  ['lines per second', (orders, seconds) => rateOf(lineCountOf(orders), seconds)],
  [`${LATENCY}, orders of one line`, (orders) => orderLatencies(orders.filter(({ lineCount }) => lineCount === 1))],
  [`${LATENCY}, orders of several lines`, (orders) => orderLatencies(orders.filter(({ lineCount }) => lineCount > 1))],
  [`${LATENCY}, all orders`, orderLatencies],
];

/** The title of the row with the latencies of returns. */
export const RETURN_LATENCY = `${LATENCY}, returns`;

/** Printed under the figures. */
export const LATENCY_NOTE =
  'A latency is the time from the first attempt to the final answer. Retries and pauses before them are part of it.';

/** Median, 99th percentile and maximum, and the number of requests. */
export function latencyCell(latenciesMs: readonly number[]): string {
  if (latenciesMs.length === 0) return 'none (0)';
  const sorted = ascending(latenciesMs);
  const parts = [percentile(sorted, 0.5), percentile(sorted, 0.99), sorted[sorted.length - 1] ?? 0];
  return `${parts.map((ms) => ms.toFixed(1)).join(' / ')} ms (${latenciesMs.length})`;
}

/** Per second, with one decimal, because a small file takes less than a second. */
function rateOf(count: number, seconds: number): string {
  return (count / seconds).toFixed(1);
}

function orderLatencies(orders: readonly AnsweredOrder[]): string {
  return latencyCell(orders.map(({ latencyMs }) => latencyMs));
}

function lineCountOf(orders: readonly AnsweredOrder[]): number {
  return orders.reduce((sum, { lineCount }) => sum + lineCount, 0);
}
