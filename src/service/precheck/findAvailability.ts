import type { DeadlineMs } from '../../core/nouns.ts';
import type { Sight, SightSource } from '../../core/sight.ts';

/** How fresh an answer is to be: a little old, or read for whoever asks. */
export type Consistency = 'cached' | 'primary';

/** Kept of the request's time for the answer: a frozen shard may take all the rest. */
const ANSWER_MS = 200;

export interface AvailabilityParts {
  /** Sources of what may be a little old, the cheapest first. None throws. */
  readonly cached: readonly SightSource[];
  readonly primary: SightSource;
  /** Remembers what the shards said. */
  readonly tell: (sights: readonly Sight[]) => void;
  /** How old an answer may be for who may be told something old. */
  readonly ageMsMax: number;
}

/**
 * Reads the units left of many SKUs from the cheapest source with a young enough snapshot; the shards are asked last.
 *
 * @returns one entry per SKU, in the order asked, before `deadlineMs`; null: its shard does not answer
 */
export async function findAvailability(
  parts: AvailabilityParts,
  sku_ids: readonly string[],
  consistency: Consistency,
  deadlineMs: DeadlineMs,
): Promise<readonly (Sight | null)[]> {
  const untilMs = deadlineMs - ANSWER_MS;
  const found = new Map<string, Sight>();
  let rest = [...new Set(sku_ids)];
  const take = (sights: readonly (Sight | null)[], asOfMsMin: DeadlineMs): void => {
    for (const sight of sights) if (sight !== null && sight.asOfMs >= asOfMsMin) found.set(sight.sku_id, sight);
    rest = rest.filter((sku_id) => !found.has(sku_id));
  };
  for (const source of consistency === 'cached' ? parts.cached : []) {
    if (rest.length === 0) break;
    take(await source.look(rest, untilMs), performance.now() - parts.ageMsMax);
  }
  if (rest.length > 0) {
    const sights = await parts.primary.look(rest, untilMs);
    parts.tell(sights.flatMap((sight) => sight ?? []));
    take(sights, -Infinity);
  }
  return sku_ids.map((sku_id) => found.get(sku_id) ?? null);
}
