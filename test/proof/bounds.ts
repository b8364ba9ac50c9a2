import { effectsOf, groupBy, isWrite, mayStand, standingEffects } from './effects.ts';
import type { Entry, FinalState } from './history.ts';

/** When something that stands in the end can have taken effect at the earliest and at the latest. */
interface Span {
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
  const spans = spansBySku(history, final);
  return (sku_id, fromMs, untilMs) => {
    const ofSku = spans.get(sku_id) ?? [];
    const moments = [fromMs, untilMs, ...ofSku.flatMap(({ earliestMs, latestMs }) => [earliestMs, latestMs])].filter(
      (ms) => fromMs <= ms && ms <= untilMs,
    );
    const at = (ms: number, isLess: boolean): number =>
      ofSku.reduce((left, { change, earliestMs, latestMs }) => {
        // For the least, what takes away has happened as soon as it can, and what adds as late as it can.
        const countsFromMs = change < 0 === isLess ? earliestMs : latestMs;
        return countsFromMs <= ms ? left + change : left;
      }, 0);
    return {
      least: Math.min(...moments.map((ms) => at(ms, true))),
      most: Math.max(...moments.map((ms) => at(ms, false))),
    };
  };
}

function spansBySku(history: readonly Entry[], final: FinalState): Map<string, Span[]> {
  const sendings = groupBy(history.filter(isWrite).filter(mayStand), (write) => effectsOf(write).map(({ key, content }) => `${key}\0${content}`));
  const spans = standingEffects(final).map(({ key, content, sku_id, change }) => {
    const ofEffect = sendings.get(`${key}\0${content}`) ?? [];
    return {
      sku_id,
      change,
      earliestMs: Math.min(Infinity, ...ofEffect.map(({ invokedMs }) => invokedMs)),
      latestMs: Math.min(Infinity, ...ofEffect.filter(({ verdict }) => verdict === 'done').map(({ endedMs }) => endedMs)),
    };
  });
  return groupBy(spans, ({ sku_id }) => [sku_id]);
}
