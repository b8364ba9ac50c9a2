import type { Layout } from '../../core/hot/layout.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { readAllRows, isSteady } from './readAllRows.ts';
import type { AllRows } from './readAllRows.ts';
import type { HotServices } from './hotServices.ts';

/**
 * Reads all rows of a SKU so that no unit which moves between two rows meanwhile is missed or counted twice. Two reads
 * with the same result are enough. While the SKU sells, the rows are read under the rebalance lease: no units are on
 * their way at a first read, and no gateway may send any until the second.
 */
export async function readWholeStock(
  { rows, rebalancer }: Pick<HotServices, 'rows' | 'rebalancer'>,
  layout: Layout,
  deadlineMs: DeadlineMs,
): Promise<AllRows | NotDone> {
  const first = await readAllRows(rows, layout, deadlineMs);
  const second = await readAllRows(rows, layout, deadlineMs);
  if (isSteady(first, second) || second.fault !== null) return second;
  return rebalancer.readWhileLeased(layout.sku_id, deadlineMs);
}
