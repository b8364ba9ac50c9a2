import type { DeadlineMs } from '../../core/nouns.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { Sight, SightSource } from '../../core/sight.ts';
import { inWidth } from '../inWidth.ts';
import type { SkuStock } from '../readSku.ts';

/** How fresh an answer is to be: a little old, or read for whoever asks. */
export type Consistency = 'cached' | 'primary';

/** The stock of a SKU, and the moment of this gateway's clock since when it was so. */
export type AvailableStock = Pick<Sight, 'sku_id' | 'leaved_amount' | 'mode' | 'rows' | 'asOfMs'>;

/** SKUs that are read one by one at a time. */
const WIDTH = 8;

/** Kept of the request's time for the answer: a frozen shard may take all the rest. */
const ANSWER_MS = 200;

export interface AvailabilityParts {
  /** Sources of what may be a little old, the cheapest first. None throws. */
  readonly cached: readonly SightSource[];
  readonly primary: SightSource;
  /** Reads one SKU exactly, with the units that move between its rows. */
  readonly readSku: (sku_id: string, deadlineMs: DeadlineMs) => Promise<SkuStock | NotDone>;
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
): Promise<readonly (AvailableStock | null)[]> {
  const untilMs = deadlineMs - ANSWER_MS;
  const found = new Map<string, AvailableStock>();
  const apart: string[] = [];
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
    // Rows of a split SKU are read at different moments, so units that move may be missing or counted twice.
    const isExact = (sight: Sight | null): boolean => consistency === 'cached' || sight?.isApart !== true;
    take(sights.filter(isExact), -Infinity);
    apart.push(...sights.flatMap((sight) => (sight === null || isExact(sight) ? [] : [sight.sku_id])));
  }
  await inWidth(apart, WIDTH, async (sku_id) => {
    const asOfMs = performance.now();
    const stock = await parts.readSku(sku_id, untilMs);
    if (stock.is !== 'found') return;
    const { mode, rows, leaved_amount } = stock;
    found.set(sku_id, { sku_id, mode, rows, leaved_amount: rows.length === 0 ? null : leaved_amount, asOfMs });
  });
  return sku_ids.map((sku_id) => found.get(sku_id) ?? null);
}
