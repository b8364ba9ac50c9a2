import type { Layout } from '../../core/layout.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { NotDone } from '../../core/outcome.ts';
import { collect, isSteady } from './collect.ts';
import type { Collected } from './collect.ts';
import type { Hot } from './hot.ts';

/**
 * All rows of a SKU, so that no unit is missed or counted twice that went from one to another meanwhile: two looks that saw
 * the same; or, while it sells, two looks with nothing on its way at the first, and nobody who may send anything until the second.
 */
export async function readWholeStock(
  { rows, gatherer }: Pick<Hot, 'rows' | 'gatherer'>,
  layout: Layout,
  deadlineMs: DeadlineMs,
): Promise<Collected | NotDone> {
  const first = await collect(rows, layout, deadlineMs);
  const second = await collect(rows, layout, deadlineMs);
  if (isSteady(first, second) || second.fault !== null) return second;
  return gatherer.look(layout.sku_id, deadlineMs);
}
