import { NOTHING } from '../../src/core/generations.ts';
import type { Lost } from '../../src/core/lost.ts';
import type { LostToPast } from '../../src/service/restored/lostToPast.ts';
import { wasSeen } from '../../src/service/restored/whoWentBack.ts';
import type { Standing } from '../../src/service/restored/whoWentBack.ts';

/** A shard and what is missing on it. */
export interface Finding {
  readonly standing: Standing;
  readonly lost: readonly Lost[];
  /** What was read of the state before; null: there is none. */
  readonly past: (LostToPast & { readonly reached: number }) | null;
}

/** How far a state before must go at least: not to the backup or what was copied already is another one. */
export function leastReached(standing: Standing, saidMs: number | null): number {
  return Math.max(wasSeen(standing) ? standing.shows : NOTHING, standing.copied, (saidMs ?? 0) * 1_000);
}

/** Whether a shard is at last the same as a state that goes as far as anybody has seen of it. */
export function isWhole({ standing, past }: Pick<Finding, 'standing' | 'past'>): boolean {
  return past !== null && wasSeen(standing) && past.reached >= standing.had && isAlike(past);
}

/** Whether nothing differs from the state that was read, or was copied. */
export function isAlike(past: Finding['past']): boolean {
  return past !== null && past.differing === 0 && past.ahead.size === 0;
}
