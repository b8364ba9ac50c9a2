import { flowKeyText } from '../../src/core/nouns.ts';
import type { Entry, FinalState } from './history.ts';

/** When something that stands in the end can have taken effect at the earliest and at the latest. */
interface Effect {
  readonly change: number;
  readonly earliestMs: number;
  readonly latestMs: number;
}

/** What can have been left of a SKU at some moment of an interval. */
export type Bounds = (sku_id: string, fromMs: number, untilMs: number) => { readonly least: number; readonly most: number };

/**
 * Works out what can have been left of each SKU at any time. An effect lies between the first sending of its ids and the
 * first answer "done"; without such an answer, any time after.
 */
export function boundsOf(history: readonly Entry[], final: FinalState): Bounds {
  const effects = effectsBySku(history, final);
  return (sku_id, fromMs, untilMs) => {
    const ofSku = effects.get(sku_id) ?? [];
    const opening = final.opening.get(sku_id) ?? 0;
    const moments = [fromMs, untilMs, ...ofSku.flatMap(({ earliestMs, latestMs }) => [earliestMs, latestMs])].filter(
      (ms) => fromMs <= ms && ms <= untilMs,
    );
    const at = (ms: number, isLess: boolean): number =>
      ofSku.reduce((left, { change, earliestMs, latestMs }) => {
        // For the least, what takes away has happened as soon as it can, and what adds as late as it can.
        const countsFromMs = change < 0 === isLess ? earliestMs : latestMs;
        return countsFromMs <= ms ? left + change : left;
      }, opening);
    return {
      least: Math.min(...moments.map((ms) => at(ms, true))),
      most: Math.max(...moments.map((ms) => at(ms, false))),
    };
  };
}

function effectsBySku(history: readonly Entry[], final: FinalState): Map<string, Effect[]> {
  const spans = spansByKey(history);
  const effects = new Map<string, Effect[]>();
  const add = (sku_id: string, change: number, key: string): void => {
    const { earliestMs, latestMs } = spans.get(key) ?? { earliestMs: -Infinity, latestMs: Infinity };
    effects.set(sku_id, [...(effects.get(sku_id) ?? []), { change, earliestMs, latestMs }]);
  };
  for (const flow of final.flows) add(flow.sku_id, -flow.quantity, flowKeyText(flow));
  for (const row of final.adjustments) add(row.sku_id, row.delta, `${row.sku_id}\0adjustment\0${row.adjustment_id}`);
  return effects;
}

function spansByKey(history: readonly Entry[]): Map<string, { earliestMs: number; latestMs: number }> {
  const spans = new Map<string, { earliestMs: number; latestMs: number }>();
  const widen = (key: string, entry: Entry): void => {
    const known = spans.get(key) ?? { earliestMs: Infinity, latestMs: Infinity };
    spans.set(key, {
      earliestMs: Math.min(known.earliestMs, entry.invokedMs),
      latestMs: entry.verdict === 'done' ? Math.min(known.latestMs, entry.endedMs) : known.latestMs,
    });
  };
  for (const entry of history) {
    if (entry.kind === 'deduction') for (const line of entry.lines) widen(flowKeyText(line), entry);
    if (entry.kind === 'adjustment') widen(`${entry.sku_id}\0adjustment\0${entry.adjustment_id}`, entry);
  }
  return spans;
}
