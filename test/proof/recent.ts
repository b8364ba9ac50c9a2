import { SELLABLE_MS_MAX } from './rules/bounds.ts';
import type { Scene } from './calls.ts';
import { scarceOf } from './skus.ts';
import { isConflict, NOT_SENT } from './history.ts';
import type { AdjustmentSent, DeductionLine, DeductionSent, Entry, Write } from './history.ts';

/** How many of the latest entries a pick considers. */
const RECENT = 200;
/** For how long after it became sellable a restock counts as recent. */
const LATELY_MS = 1_500;

/** A random order of those that were accepted last; null without one. */
export function doneOrder(scene: Scene): DeductionSent | null {
  const done = scene.history
    .filter((entry): entry is DeductionSent => entry.kind === 'deduction' && entry.verdict === 'done')
    .slice(-RECENT);
  return done.length === 0 ? null : scene.random.pick(done);
}

/** A restock whose units must be sellable now, and have been for a short time only. */
export function latelyRestocked(scene: Scene): AdjustmentSent | null {
  const nowMs = performance.now();
  const isLately = (entry: Entry): entry is AdjustmentSent =>
    entry.kind === 'adjustment' &&
    entry.verdict === 'done' &&
    entry.delta > 0 &&
    entry.endedMs < nowMs - SELLABLE_MS_MAX &&
    entry.endedMs > nowMs - SELLABLE_MS_MAX - LATELY_MS;
  const lately = scene.history.filter(isLately).filter(({ sku_id }) => scarceOf(scene.goods).includes(sku_id));
  return lately.length === 0 ? null : scene.random.pick(lately);
}

/** A random line of an order; null without an order. */
export function anyLine(scene: Scene, order: DeductionSent | null): DeductionLine | null {
  return order === null ? null : scene.random.pick(order.lines);
}

/** A random one of the latest writes of a kind that were sent; refused conflicts are left out. */
export function recent<K extends Write['kind']>(
  scene: Scene,
  kind: K,
  fits: (write: Extract<Write, { kind: K }>) => boolean = () => true,
): Extract<Write, { kind: K }> | null {
  const isOf = (entry: Entry): entry is Extract<Write, { kind: K }> =>
    entry.kind === kind && !isConflict(entry) && fits(entry as Extract<Write, { kind: K }>);
  // Only requests that were sent: while a gateway is down, hundreds of connections are refused.
  const latest = scene.history
    .filter(({ code }) => code !== NOT_SENT)
    .slice(-RECENT)
    .filter(isOf);
  return latest.length === 0 ? null : scene.random.pick(latest);
}
