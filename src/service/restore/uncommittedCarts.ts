import { chunksOf } from '../../core/async/chunksOf.ts';
import type { CartKey, DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import { cartText } from '../carts/cartBatches.ts';

const AT_A_TIME = 400;

/** Selects the carts whose record is not `committed`. @param shard the shard of their records */
export async function uncommittedCarts<C extends CartKey>(
  auditor: Auditor,
  shard: ShardIndex,
  carts: readonly C[],
  deadlineMs: DeadlineMs,
): Promise<C[]> {
  const found: C[] = [];
  for (const some of chunksOf(carts, AT_A_TIME)) {
    const records = await auditor.readDecisions(shard, some, deadlineMs);
    const isSold = new Set(records.filter(({ state }) => state === 'committed').map(cartText));
    found.push(...some.filter((cart) => !isSold.has(cartText(cart))));
  }
  return found;
}
